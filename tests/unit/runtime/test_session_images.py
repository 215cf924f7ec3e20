"""Images become what the network takes: by hand-made arithmetic, and as Pillow resizes."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from support import onnx_exits

from picojoule.errors import BundleError, InputError, UsageError
from picojoule.runtime import Session, export_bundle
from picojoule.runtime.manifest import Preprocessing, Tensor
from picojoule.runtime.manifest_file import preprocessing_of
from picojoule.runtime.session_images import images_in, prepare, read_image
from picojoule.runtime.session_inputs import read_batches

TENSOR = Tensor(name="image", shape=(3, 6, 6), dtype="float32")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pixels(count=2, rows=6, columns=6, channels=3):
    return np.random.default_rng(3).integers(0, 256, (count, rows, columns, channels), dtype=np.uint8)


def test_scale_mean_and_deviation_by_channel():
    given = pixels()
    want = ((given / 255 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)
    found = prepare(given, Preprocessing(mean=MEAN, std=STD), TENSOR)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_blue_green_red_and_the_layout():
    given = pixels()
    how = Preprocessing(colour="BGR", layout="NHWC", scale=1, mean=(104, 117, 123))
    found = prepare(given, how, Tensor(name="image", shape=(6, 6, 3), dtype="float32"))
    np.testing.assert_array_equal(found, given[..., ::-1].astype(np.float32) - np.array((104, 117, 123), np.float32))


def test_grey_and_whole_bytes():
    how = Preprocessing(colour="grey", scale=1, mean=(0,), std=(1,))
    tensor = Tensor(name="image", shape=(1, 6, 6), dtype="uint8")
    given = pixels(channels=1)
    found = prepare(given, how, tensor)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, given.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("resize", "crop"), [((6, 6), None), (8, (6, 6)), (6, (6, 6)), ((9, 9), (6, 6)), (None, (6, 6))]
)
def test_resizing_and_cutting_are_pillow_s(tmp_path, resize, crop, colour):
    (picture,) = pixels(1, 20, 30)
    image = PIL.Image.fromarray(picture)
    if isinstance(resize, int):
        image = image.resize((round(30 * resize / 20), resize), PIL.Image.Resampling.BICUBIC)
    elif resize:
        image = image.resize(resize[::-1], PIL.Image.Resampling.BICUBIC)
    if crop:
        left, top = (image.size[0] - 6) // 2, (image.size[1] - 6) // 2
        image = image.crop((left, top, left + 6, top + 6))
    want = np.asarray(image).astype(np.float32).transpose(2, 0, 1) / 255
    want = want[::-1] if colour == "BGR" else want
    how = Preprocessing(resize=resize, crop=crop, resample="bicubic", colour=colour)
    PIL.Image.fromarray(picture).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_image(tmp_path / "a.png", how, TENSOR), want, atol=1e-6)
    np.testing.assert_allclose(prepare(picture[None], how, TENSOR)[0], want, atol=1e-6)


def test_an_image_of_another_size_is_refused_where_nothing_resizes(tmp_path):
    PIL.Image.fromarray(pixels(1, 5, 7)[0]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: the image has 5 × 7 pixels \(rows × columns\); the network takes 6 × 6"):
        read_image(tmp_path / "a.png", Preprocessing(), TENSOR)
    with pytest.raises(InputError, match="5 × 7"):
        prepare(pixels(1, 5, 7), Preprocessing(crop=(6, 6)), TENSOR)
    with pytest.raises(InputError, match="pixels are uint8"):
        prepare(pixels().astype(float), Preprocessing(), TENSOR)


def test_images_with_transparency_and_palettes_are_read(tmp_path):
    image = PIL.Image.fromarray(pixels(1)[0])
    for number, mode in enumerate(("RGBA", "P", "L", "CMYK")):
        path = tmp_path / f"{number}.{'tiff' if mode == 'CMYK' else 'png'}"
        image.convert(mode).save(path)
        assert read_image(path, Preprocessing(), TENSOR).shape == (3, 6, 6)
    assert [file.name for file in images_in(tmp_path)] == ["0.png", "1.png", "2.png", "3.tiff"]


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(InputError, match=r"a\.png: not a readable image"):
        read_image(tmp_path / "a.png", Preprocessing(), TENSOR)
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match="there is no image in this folder"):
        images_in(tmp_path)


def test_preprocessing_of_a_file_has_defaults_and_known_keys():
    how = preprocessing_of({"mean": 0.5, "std": [1, 2, 3]}, where="p.json")
    assert (how.mean, how.std, how.scale, how.resize) == ((0.5,) * 3, (1, 2, 3), 1 / 255, None)
    assert preprocessing_of({"colour": "grey"}, where="p.json").mean == (0.0,)
    with pytest.raises(BundleError, match=r"p\.json: unknown key 'size'; allowed are colour, crop"):
        preprocessing_of({"size": 3}, where="p.json")
    with pytest.raises(BundleError, match=r"p\.json: resample: 'best' is not known"):
        preprocessing_of({"resample": "best"}, where="p.json")


# What a session is run on --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    source = onnx_exits.saved(folder / "net.onnx", onnx_exits.exits(1))
    how = Preprocessing(resize=(6, 6), mean=MEAN, std=STD)
    return export_bundle(source, folder / "net.bundle", preprocess=how)


def test_pixels_of_a_file_and_images_of_a_folder_are_the_same_input(bundle, tmp_path):
    given = pixels(5)
    np.savez(tmp_path / "a.npz", whatever=given, labels=np.arange(5) % 4)
    (tmp_path / "folder").mkdir()
    for number, picture in enumerate(given):
        PIL.Image.fromarray(picture).save(tmp_path / "folder" / f"{number}.png")
    session = Session(bundle)
    by_file = list(read_batches(tmp_path / "a.npz", bundle.manifest, 2))
    by_folder = list(read_batches(tmp_path / "folder", bundle.manifest, 2))
    assert [len(part.names) for part in by_file] == [len(part.names) for part in by_folder] == [2, 2, 1]
    for one, other, first in zip(by_file, by_folder, (0, 2, 4), strict=True):
        np.testing.assert_array_equal(one.feed["image"], other.feed["image"])
        np.testing.assert_array_equal(one.feed["image"], session.prepare(given[first : first + 2]))
    assert np.concatenate([part.labels for part in by_file]).tolist() == [0, 1, 2, 3, 0]


def test_arrays_are_fed_as_they_are(bundle, tmp_path):
    x = onnx_exits.images(3)
    np.savez(tmp_path / "a.npz", image=x.astype(np.float64))
    np.save(tmp_path / "a.npy", x)
    for name in ("a.npz", "a.npy"):
        (part,) = read_batches(tmp_path / name, bundle.manifest, 8)
        np.testing.assert_array_equal(part.feed["image"], x)
        assert part.feed["image"].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": np.zeros((2, 3, 5, 5), np.float32)}, r"image: the array has the shape \[2, 3, 5, 5\]; the network takes \[samples, 3, 6, 6\]"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "it has no array 'image'; it has 'a', 'b'"),
        ({"image": np.zeros((0, 3, 6, 6))}, "at least one; there are 0 in 'image'"),
        ({"image": np.array(["x"])}, "the array has the shape"),
        ({"image": np.full((2, 3, 6, 6), "x")}, "the array holds <U1; the network takes float32"),
        ({"image": np.zeros((2, 3, 6, 6)), "labels": np.zeros(2)}, "labels: 2 whole numbers are expected, got float64"),
        ({"image": np.zeros((2, 3, 6, 6)), "labels": np.array([0, 4])}, "labels: classes are 0 … 3, got 4 for sample 1"),
        ({"image": np.array([None, 1])}, "pickled objects, which are never loaded"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit(bundle, tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        list(read_batches(tmp_path / "a.npz", bundle.manifest, 8))


def test_places_that_hold_nothing(bundle, tmp_path):
    with pytest.raises(UsageError, match="there is no file or folder"):
        list(read_batches(tmp_path / "none", bundle.manifest, 8))
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="its arrays can't be read"):
        list(read_batches(tmp_path / "a.npz", bundle.manifest, 8))


def test_a_bundle_that_does_not_say_how_takes_no_images(tmp_path):
    source = onnx_exits.saved(tmp_path / "net.onnx", onnx_exits.exits(1))
    plain = export_bundle(source, tmp_path / "net.bundle")
    with pytest.raises(UsageError, match="doesn't say how images become its input"):
        list(read_batches(tmp_path, plain.manifest, 8))
    with pytest.raises(UsageError, match="doesn't say how images become its input"):
        Session(plain).prepare(pixels())
