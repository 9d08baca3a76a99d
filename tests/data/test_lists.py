import pytest

from alexnet.data import open_source
from alexnet.errors import InputError


def opened(tmp_path, text: str, name: str = "list.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return open_source(tmp_path / name)


def test_path_and_label_without_a_header(tmp_path):
    source = opened(tmp_path, "x/1.png,dog\nx/2.png,cat\n")
    assert source.kind == "list"
    assert source.name == "list"
    assert source.paths == ["x/1.png", "x/2.png"]
    assert source.classes == ["cat", "dog"]
    assert source.labels.tolist() == [1, 0]
    assert source.file(0) == tmp_path / "x/1.png"


def test_a_header_finds_the_columns_in_any_order(tmp_path):
    source = opened(tmp_path, 'Label,id,Filename,Split\ncat,7,"a, b.png",train\ndog,8,c.png,test\ncat,9,d.png,\n')
    assert source.paths == ["a, b.png", "c.png", "d.png"]
    assert source.given.tolist() == [1, 3, 0]


@pytest.mark.parametrize("mark", [";", "\t", ", "])
def test_other_marks_part_the_columns(tmp_path, mark):
    source = opened(tmp_path, f"a b.png{mark}dog{mark}val\nc.png{mark}cat{mark}train\n", "list.txt")
    assert source.paths == ["a b.png", "c.png"]
    assert source.given.tolist() == [2, 1]


def test_without_marks_the_last_word_is_the_label(tmp_path):
    source = opened(tmp_path, "my cat.png 3\ndogs/1.png 10\n", "train.txt")
    assert source.paths == ["my cat.png", "dogs/1.png"]
    assert source.classes == ["3", "10"]


def test_without_marks_a_third_word_may_be_the_part(tmp_path):
    source = opened(tmp_path, "my cat.png 3 train\ndogs/1.png 10 test\n", "all.txt")
    assert source.paths == ["my cat.png", "dogs/1.png"]
    assert source.given.tolist() == [1, 3]


def test_whole_numbers_are_ordered_as_numbers_and_other_labels_as_text(tmp_path):
    assert opened(tmp_path, "a,10\nb,9\n").classes == ["9", "10"]
    assert opened(tmp_path, "a,x10\nb,x9\n").classes == ["x10", "x9"]


def test_an_absolute_path_stays_what_it_is(tmp_path):
    source = opened(tmp_path, f"{tmp_path}/elsewhere/1.png,a\n2.png,b\n")
    assert source.file(0) == tmp_path / "elsewhere/1.png"


def test_a_byte_order_mark_and_blank_lines_are_passed_over(tmp_path):
    source = opened(tmp_path, "\ufeffpath,label\n\n1.png,a\n\n2.png,b\n")
    assert source.paths == ["1.png", "2.png"]


def test_lines_that_say_nothing_are_named_with_their_number(tmp_path):
    source = opened(tmp_path, "1.png,a\n2.png\n\n,b\n3.png,b,holdout\n4.png,b\n")
    assert source.paths == ["1.png", "4.png"]
    assert [(p.path, p.kind) for p in source.problems] == [
        ("list.csv:2", "bad-line"),
        ("list.csv:4", "bad-line"),
        ("list.csv:5", "bad-line"),
    ]


def test_a_list_without_a_line_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no line with a path and a label"):
        opened(tmp_path, "path,label\n")


def test_a_picture_is_no_list(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    with pytest.raises(InputError, match="no list"):
        open_source(tmp_path / "cat.jpg")
