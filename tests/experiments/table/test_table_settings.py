"""What a user may write in the YAML of a table, and what is refused with which sentence."""

from __future__ import annotations

import pytest

from townsend.errors import ConfigError, InputError
from townsend.experiments.table.settings import TABLE_FILE, Description, load_table
from townsend.files import write_text


def test_a_class_may_be_its_condition_alone_and_features_a_list(table):
    settings = load_table(table()).settings
    assert settings.classes["signal"].where == "is_signal == 1"
    assert settings.expressions == {"a": "a", "b": "b", "noise": "noise"}
    assert not settings.weighted


def test_patterns_are_from_the_folder_of_the_file_and_sorted(table, files, tmp_path):
    description = load_table(table(files="[part-*.root, all.root]"))
    placed = Description(description.settings, files)
    assert [path.name for path in placed.paths(("part-*.root", "all.root"))] == [
        "part-0.root",
        "part-1.root",
        "all.root",
    ]
    assert [path.name for path in placed.paths("part-?.root")] == ["part-0.root", "part-1.root"]
    with pytest.raises(InputError, match=r"files must exist \(got none for nothing-\*\.root"):
        placed.paths("nothing-*.root")


def test_a_json_copy_makes_the_same_description(table):
    description = load_table(table(weight="w", cuts="[a > 0, b < 1]", friends="[{files: all.root, tree: events}]"))
    assert Description.from_json(description.to_json()) == description


def test_a_folder_with_a_table_is_a_table(table, tmp_path):
    path = table()
    (tmp_path / "folder").mkdir()
    write_text(tmp_path / "folder" / TABLE_FILE, path.read_text())
    assert load_table(tmp_path / "folder").folder == tmp_path / "folder"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"feature": "[a]"}, 'feature: unknown key .*did you mean "features"'),
        ({"classes": "{signal: is_signal == 1}"}, "must hold at least 2"),
        ({"features": "[]"}, "must hold at least 1"),
        ({"files": None}, 'class "background" needs files'),
        ({"luminosity_per_fb": "10"}, 'class "background" needs cross_section_pb'),
        ({"classes": "{a: {where: a > 0, cross_section_pb: 1}, b: a < 0}"}, "needs luminosity_per_fb"),
        ({"units": "{c: GeV}"}, r'units must be of features \(got "c"\)'),
        ({"cuts": "[a >]"}, "a >"),
        ({"weight": "__import__('os')"}, "__import__"),
        ({"most_events": "5"}, "greater than or equal to 100"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(table, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_table(table(**changes))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"must be the YAML of a table, or a folder that holds table\.yaml"):
        load_table(tmp_path)
