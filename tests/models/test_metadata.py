"""What a file says of itself is read, and a hostile file can only be refused."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd_models import metadata
from reflexd_models.base import ModelError
from reflexd_models.bundle import zoo
from tests.models.helpers import error_of

METER = (zoo() / "meter" / "meter.tflite").read_bytes()


def archive(**texts: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in texts.items():
            file.writestr(f"{name}.txt", text)
    return kept.getvalue()


def test_labels_and_normalisation_come_from_inside_the_file(shared):
    found = metadata.read((shared / "models" / "mobilenet_v1_0.25_224_quant_meta.tflite").read_bytes(), "x")
    assert found.labels is not None
    assert (len(found.labels), found.labels[286], found.mean, found.std) == (1001, "Egyptian cat", 127.5, 127.5)


def test_a_file_without_metadata_says_nothing(shared):
    assert metadata.read((shared / "models" / "vww96_int8.tflite").read_bytes(), "x") == metadata.Metadata()
    assert metadata.read(METER, "x").labels is None


def test_the_only_text_in_an_archive_is_the_labels():
    assert metadata.read(METER + archive(labels="ä\r\nb\n\n".encode()), "x").labels == ("ä", "b")


def test_two_texts_and_no_word_which_are_no_labels():
    assert metadata.read(METER + archive(one=b"a", two=b"b"), "x").labels is None


# Names of their own: an archive holds the time, and two workers would collect different tests.
@pytest.mark.parametrize("behind", [
    archive(labels=b"\xff\xfe\xfd"),
    archive(labels=b"x\n" * (1 << 20)),
    archive(labels=b"a")[:-30] + b"PK\x05\x06",
    b"PK\x05\x06" + b"\xff" * 18,
], ids=["not UTF-8", "far too long", "its list cut off", "a list out of reach"])
def test_a_damaged_archive_is_refused_in_one_line(behind):
    with pytest.raises(ModelError) as caught:
        metadata.read(METER + behind, "x")
    assert str(caught.value).startswith("x: the metadata inside is damaged")
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(junk=st.binary(max_size=200), tail=st.binary(max_size=60))
def test_junk_is_refused_or_says_nothing_and_nothing_else(junk, tail):
    for content in (junk, METER[:64] + junk, METER[: len(METER) - len(tail)] + tail):
        error_of(lambda content=content: metadata.read(content, "x"))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 400_000), byte=st.integers(0, 255))
def test_one_changed_byte_in_the_tables_never_breaks_the_reader(place, byte, metadata_file):
    content = bytearray(metadata_file)
    content[-1 - place % 120_000] = byte
    error_of(lambda: metadata.read(bytes(content), "x"))


@pytest.fixture(scope="session")
def metadata_file(shared):
    return (shared / "models" / "mobilenet_v1_0.25_224_quant_meta.tflite").read_bytes()
