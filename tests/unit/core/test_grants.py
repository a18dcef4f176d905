"""The table of what each view's kernel keeps."""

from __future__ import annotations

from volfuse.core.grants import Grants

D, E = "directory", "other"


def test_a_name_is_kept_by_those_it_was_given_to() -> None:
    grants = Grants()
    for node in (1, 2, 2):
        assert grants.add(D, b"a", "file", node) == ()
    assert (grants.nodes(D, b"a"), grants.key(D, b"a"), len(grants)) == ((1, 2), "file", 1)
    assert (grants.nodes(D, b"b"), grants.nodes(E, b"a"), grants.key(E, b"a")) == ((), (), None)
    assert (grants.key(D, b"a", 2), grants.key(D, b"a", 3)) == ("file", None)


def test_for_another_file_the_others_are_told() -> None:
    grants = Grants()
    for node in (1, 2, 3):
        grants.add(D, b"a", "file", node)
    assert grants.add(D, b"a", "new", 2) == (1, 3)
    assert (grants.nodes(D, b"a"), grants.key(D, b"a"), len(grants)) == ((2,), "new", 1)


def test_one_view_or_all_let_go() -> None:
    grants = Grants()
    for node in (1, 2):
        grants.add(D, b"a", "file", node)
    grants.remove_from(D, b"a", 3)
    grants.remove_from(D, b"a", 1)
    assert grants.nodes(D, b"a") == (2,)
    grants.remove_from(D, b"a", 2)
    assert (len(grants), grants.directories()) == (0, [])
    grants.add(D, b"a", "file", 1)
    assert (grants.remove(D, b"a"), grants.remove(D, b"a"), len(grants)) == ((1,), (), 0)


def test_a_directory_lets_go_of_all_its_names() -> None:
    grants = Grants()
    for directory, name in ((D, b"a"), (D, b"b"), (E, b"a")):
        grants.add(directory, name, "file", 1)
    assert grants.remove_all(D) == [(b"a", (1,)), (b"b", (1,))]
    assert grants.remove_all(D) == []
    assert (len(grants), grants.directories()) == (1, [E])


def test_the_oldest_is_of_the_directory_that_was_added_to_longest_ago() -> None:
    grants = Grants()
    for directory, name in ((D, b"a"), (E, b"a"), (D, b"b")):
        grants.add(directory, name, "file", 1)
    assert grants.oldest() == (E, b"a")
    grants.remove(E, b"a")
    assert grants.oldest() == (D, b"a")
