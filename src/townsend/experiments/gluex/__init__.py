"""Electrons and pions in GlueX, and the decay eta -> e+ e- gamma among its pions' background.

What to use when
----------------
- `simulate`: samples on disk, single tracks to train on and eta decays to apply it to; `settings` holds every constant.
- `particle_gun`, `eta_decays`: the particles; `response`: what the detector makes of them, the six inputs.
- `reference_cuts`: the analysis by hand that every network has to beat.
- `eta_mass`: whether a selection of decays leaves the shape of the signal's mass alone.
- `reference_data`: the ten real rows of the slides, and published distributions.

The task is that of D. Lersch, "Physics Data Analysis with Neural Networks" (6 July 2021). His training data are not
public: the sample here is a fast simulation from published detector figures, and **several of its hadronic constants
are plausible values without a source**; `settings` says which.
"""
