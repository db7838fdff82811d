"""Everything the GlueX simulation can be told, with units in the names; each constant says where it comes from.

NIM is S. Adhikari et al. (GlueX), Nucl. Instrum. Meth. A 987 (2021) 164807; HDDS is the collaboration's geometry,
github.com/JeffersonLab/hdds; slides are D. Lersch, 6 July 2021. **Constants marked "choice" are plausible values
without a source.** The slides' figures were known when they were chosen, so this is no blind prediction; with the
setting `nominal` the simulation stays short of them.

`tuned` differs from `nominal` in two constants, chosen to meet the slides' figures: a first BCAL layer of 2.6 cm (the
real one has 2.07 cm) and 99 % of tracks with a matched shower. It is not GlueX.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from townsend.config import Closed

__all__ = [
    "BcalSettings",
    "DedxSettings",
    "EtaSettings",
    "FcalSettings",
    "GluexSettings",
    "GunSettings",
    "HadronSettings",
    "PhotonSettings",
    "TrackSettings",
]


class GunSettings(Closed):
    """Single tracks like the ten rows that the slides print: flat in momentum, most of them forward."""

    momentum_low_GeV: float = Field(0.3, gt=0, description="smallest momentum (choice, after the ten rows)")
    momentum_high_GeV: float = Field(6.5, gt=0, description="largest momentum (choice, after the ten rows)")
    forward_fraction: float = Field(0.7, ge=0, le=1, description="share of tracks below theta_middle_deg (choice)")
    theta_low_deg: float = Field(1.2, ge=0, le=126, description="smallest polar angle (choice)")
    theta_middle_deg: float = Field(12.5, ge=0, le=126, description="end of the forward tracks (choice)")
    theta_high_deg: float = Field(45.0, ge=0, le=126, description="largest polar angle (choice)")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.momentum_high_GeV <= self.momentum_low_GeV:
            msg = (
                "momentum_high_GeV must be larger than momentum_low_GeV "
                f"(got {self.momentum_high_GeV} and {self.momentum_low_GeV}); raise it"
            )
            raise ValueError(msg)
        angles = (self.theta_low_deg, self.theta_middle_deg, self.theta_high_deg)
        if not angles[0] < angles[1] < angles[2]:
            msg = f"theta_low_deg, theta_middle_deg and theta_high_deg must ascend (got {angles}); put them in order"
            raise ValueError(msg)
        return self


class EtaSettings(Closed):
    """gamma p -> eta p with eta -> e+ e- gamma (signal) or pi+ pi- gamma."""

    photon_low_GeV: float = Field(8.2, ge=2, description="smallest beam energy (Phys. Rev. C 100 (2019) 052201)")
    photon_high_GeV: float = Field(8.8, ge=2, description="largest beam energy (same)")
    slope_per_GeV2: float = Field(3.0, gt=0, description="b of dsigma/dt ~ -t' exp(b t') (choice)")
    pions_per_electron_pair: float = Field(6.0, gt=0, description="decays to pions for one to electrons (slides)")
    form_factor_GeV: float = Field(0.731, gt=0.55, description="pole of the form factor (PDG 2026: 0.731 +- 0.013)")
    alpha_per_GeV2: float = Field(1.32, ge=0, description="slope of eta -> pi+ pi- gamma (KLOE, PLB 718 (2013) 910)")
    least_momentum_GeV: float = Field(0.3, ge=0, description="tracks below are not reconstructed (choice)")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.photon_high_GeV < self.photon_low_GeV:
            msg = (
                f"photon_high_GeV must not be below photon_low_GeV (got {self.photon_high_GeV} and "
                f"{self.photon_low_GeV}); raise it"
            )
            raise ValueError(msg)
        return self


class TrackSettings(Closed):
    """Material and resolution; momentum resolution is NIM's table, see `tracking`."""

    material_X0: float = Field(0.04, ge=0, lt=0.5, description="before the chambers; electrons radiate in it (choice)")
    direction_mrad: float = Field(1.5, ge=0, description="resolution in each of two directions across (choice)")
    matching: float | None = Field(
        None, ge=0, le=1, description="share of tracks with a matched shower (choice); null: 0.97 nominal, 0.99 tuned"
    )


class DedxSettings(Closed):
    """Energy loss in the straws of the central drift chamber, Ar/CO2."""

    pion_at_1500_MeV_keV_per_cm: float = Field(2.0, gt=0, description="most probable, pion of 1.5 GeV/c (NIM)")
    resolution: float = Field(0.11, gt=0, lt=1, description="of a track with hits_of_resolution (NIM, from a figure)")
    hits_of_resolution: int = Field(25, ge=1, le=28, description="resolution falls as 1/sqrt(hits) from there (choice)")
    least_hits: int = Field(4, ge=1, le=28, description="with fewer the loss is written as 0 (choice)")


class HadronSettings(Closed):
    """What a calorimeter sees of a pion that interacts, as a share of its momentum: beta distributions."""

    visible_a: float = Field(1.3, gt=0, description="first shape of the visible share (choice)")
    visible_b: float = Field(2.6, gt=0, description="second shape of the visible share (choice)")
    exchange_fraction: float = Field(0.06, ge=0, le=1, description="of interactions are a charge exchange (choice)")
    exchange_a: float = Field(6.0, gt=0, description="first shape of the visible share after it (choice)")
    exchange_b: float = Field(1.8, gt=0, description="second shape of the visible share after it (choice)")


class FcalSettings(Closed):
    """Forward calorimeter: lead glass."""

    theta_low_deg: float = Field(1.0, ge=0, lt=5, description="below lies the beam hole (NIM)")
    theta_high_deg: float = Field(
        9.8, gt=5, le=12.1, description="beyond, the end of the BCAL with its readout shadows it (choice; NIM: 11)"
    )
    stochastic: float = Field(0.0617, ge=0, description="of the resolution: stochastic/sqrt(E/GeV) (NIM)")
    constant: float = Field(0.0467, ge=0, description="of the resolution, added in quadrature (NIM)")
    threshold_GeV: float = Field(0.1, ge=0, description="showers below are not found (NIM)")
    electron_share: float = Field(0.935, gt=0, description="of its momentum that an electron leaves (choice, near NIM)")
    tail_fraction: float = Field(0.15, ge=0, le=1, description="of electrons that lose more (choice)")
    tail_mean: float = Field(0.14, ge=0, description="mean of that loss, an exponential, in momenta (choice)")
    depth_cm: float = Field(45.0, gt=0, description="of a block (NIM)")
    interaction_cm: float = Field(40.0, gt=0, description="interaction length for pions (choice)")
    mip_GeV: float = Field(0.3, ge=0, description="that a fast pion leaves without interaction (choice)")
    refractive_index: float = Field(1.62, gt=1, description="of the glass: slow pions leave less light (choice)")


class BcalSettings(Closed):
    """Barrel calorimeter: lead and scintillating fibres, 11 to 126 degrees; its first layer is the preshower."""

    inner_radius_cm: float = Field(65.0, gt=0, description="of the fibres (NIM, HDDS)")
    downstream_cm: float = Field(342.0, gt=0, description="end of the fibres from the target's centre (NIM, HDDS)")
    upstream_cm: float = Field(48.0, gt=0, description="the other end (HDDS)")
    preshower_cm: float | None = Field(
        None, gt=0, description="depth of the first layer; null: 2.1 nominal (HDDS: 2.07), 2.6 tuned (not real)"
    )
    radiation_length_cm: float = Field(1.45, gt=0, description="X0 (NIM)")
    critical_energy_GeV: float = Field(0.011, gt=0, description="of the shower profile (choice)")
    start_X0: float = Field(1.0, ge=0, description="spread of the depth at which a shower starts, exponential (choice)")
    stochastic: float = Field(0.0502, ge=0, description="of the resolution: stochastic/sqrt(E/GeV) (NIM)")
    constant: float = Field(0.0442, ge=0, description="of the resolution, added in quadrature (NIM)")
    interaction_cm: float = Field(34.0, gt=0, description="interaction length for pions (choice)")
    mip_GeV_per_cm: float = Field(0.0086, ge=0, description="that a pion leaves without interaction (choice)")


class PhotonSettings(Closed):
    """Photons of the eta; energy resolution is that of the calorimeter they reach."""

    bcal_threshold_GeV: float = Field(0.05, ge=0, description="showers below are not found in the BCAL (NIM)")
    direction_mrad: float = Field(1.5, ge=0, description="resolution across at 1 GeV, falls as 1/sqrt(E) (choice)")


class GluexSettings(Closed):
    """The whole simulation; `seed` names the random streams."""

    seed: int = Field(1, ge=0, lt=1 << 31, description="names the sample")
    setting: Literal["nominal", "tuned"] = Field(
        "nominal", description="tuned: reproduces the slides' figures with two constants that are not real"
    )
    gun: GunSettings = GunSettings()
    eta: EtaSettings = EtaSettings()
    tracks: TrackSettings = TrackSettings()
    dedx: DedxSettings = DedxSettings()
    hadrons: HadronSettings = HadronSettings()
    fcal: FcalSettings = FcalSettings()
    bcal: BcalSettings = BcalSettings()
    photons: PhotonSettings = PhotonSettings()

    @property
    def matching(self) -> float:
        """Share of tracks with a matched shower."""
        given = self.tracks.matching
        return given if given is not None else {"nominal": 0.97, "tuned": 0.99}[self.setting]

    @property
    def preshower_cm(self) -> float:
        """Depth of the first layer of the BCAL."""
        given = self.bcal.preshower_cm
        return given if given is not None else {"nominal": 2.1, "tuned": 2.6}[self.setting]
