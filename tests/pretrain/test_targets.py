"""What the objectives predict and what they are shown, each against an independent way to compute it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightly.loss.swav_loss import sinkhorn
from skimage.feature import hog as reference_hog
from sklearn.neighbors import NearestNeighbors

from bench.pretrain.backbone import VitBackbone, patches_of
from bench.pretrain.corpus import as_floats
from bench.pretrain.job import Job
from bench.pretrain.losses import pair_nce
from bench.pretrain.objective import Batch
from bench.pretrain.objectives import dinov2, nnclr
from bench.pretrain.objectives.beit import Words
from bench.pretrain.objectives.data2vec import upper_half
from bench.pretrain.objectives.densecl import most_similar
from bench.pretrain.objectives.diffusion import noised
from bench.pretrain.objectives.jigsaw import jigsaw, tiles_of
from bench.pretrain.objectives.maskfeat import hog
from bench.pretrain.objectives.mfm import RADIUS, hidden_frequencies, images_of, without
from bench.pretrain.objectives.super_resolution import coarse
from bench.pretrain.queue import Queue


def test_hog_is_scikit_images() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 24, 16, dtype=torch.float64)
    found = hog(images, 8).numpy()
    for i, c in np.ndindex(2, 3):
        expected = reference_hog(
            images[i, c].numpy(), orientations=9, pixels_per_cell=(8, 8), cells_per_block=(1, 1), block_norm="L2",
            feature_vector=False,
        )  # fmt: skip
        np.testing.assert_allclose(found[i, c].transpose(1, 2, 0), expected[:, :, 0, 0], atol=1e-5)
    assert hog(torch.full((1, 3, 8, 8), 0.3), 8).abs().max() == 0


def test_the_targets_of_maskfeat_lie_in_their_patch() -> None:
    """Two cells a patch side: an edge in one patch is in the target of that patch's token alone."""
    images = torch.zeros(1, 3, 32, 32)
    images[..., 18:22, 3:6] = 1
    target = patches_of(hog(images, 4).flatten(1, 2), 2)
    assert target.shape == (1, 16, 3 * 9 * 4)
    assert target.abs().sum(2)[0].nonzero().flatten().tolist() == [8]


def test_words_are_the_nearest_codes(recipe) -> None:
    torch.manual_seed(0)
    backbone = VitBackbone(recipe)
    words = Words(backbone.network.patch_embed, backbone.dim, 12)
    images = torch.rand(3, 3, 32, 32)
    found = words(images)
    vectors = backbone._patches(images).flatten(0, 1).detach().numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = NearestNeighbors(n_neighbors=1).fit(words.codes.numpy()).kneighbors(unit, return_distance=False)
    np.testing.assert_array_equal(found.flatten(), nearest[:, 0])
    with torch.no_grad():  # the vocabulary is fixed, whatever becomes of the backbone
        backbone.network.patch_embed.proj.weight.add_(1)
    assert torch.equal(words(images), found)


def test_the_upper_half_is_that_of_the_blocks(recipe) -> None:
    torch.manual_seed(0)
    deeper = recipe.model_copy(update={"vit": recipe.vit.model_copy(update={"depth": 4})})
    backbone, seen = VitBackbone(deeper).eval(), []
    for block in backbone.network.blocks:
        block.register_forward_hook(lambda module, inputs, out: seen.append(out.detach().numpy()))
    images = torch.rand(2, 3, 32, 32)
    found = upper_half(backbone.network, images).detach().numpy()
    assert len(seen) == 4
    upper = [(b - b.mean(2, keepdims=True)) / np.sqrt(b.var(2, keepdims=True) + 1e-5) for b in seen[2:]]
    np.testing.assert_allclose(found, np.mean(upper, axis=0), atol=1e-5)
    last = seen[3]
    backbone.tokens(images)
    np.testing.assert_allclose(last, seen[7], atol=1e-6)  # it is the pass of the backbone itself


def test_most_similar_by_loops() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 6, 4))
    found = most_similar(torch.from_numpy(a), torch.from_numpy(b))
    for i, t in np.ndindex(2, 5):
        cosines = [x @ a[i, t] / np.linalg.norm(x) for x in b[i]]
        assert found[i, t] == np.argmax(cosines)


@pytest.mark.parametrize("tiles", [2, 3])
def test_a_jigsaw_put_back_is_the_image(tiles: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(6, 3, 12, 12)
    shuffled, origin = jigsaw(images, tiles)
    side, back = 12 // tiles, torch.full_like(images, -1)
    for n in range(6):
        assert sorted(origin[n].tolist()) == list(range(tiles**2))
        for place, source in enumerate(origin[n].tolist()):
            (y, x), (v, u) = (divmod(k, tiles) for k in (place, source))
            piece = shuffled[n, :, side * y : side * (y + 1), side * x : side * (x + 1)]
            back[n, :, side * v : side * (v + 1), side * u : side * (u + 1)] = piece
    assert torch.equal(back, images)
    assert not torch.equal(shuffled, images)


def test_tiles_divide_the_grid() -> None:
    assert [tiles_of(side) for side in (4, 6, 8, 12, 14, 7)] == [4, 3, 4, 3, 2, 7]


def test_images_of_undoes_patches_of() -> None:
    images = torch.rand(2, 3, 12, 12)
    assert torch.equal(images_of(patches_of(images, 4), 4), images)


def test_frequencies_are_parted_by_a_circle() -> None:
    torch.manual_seed(0)
    hidden = hidden_frequencies(40, 64, device="cpu")
    low = hidden[:, 0, 0, 0]
    assert 5 < low.sum() < 35
    assert torch.equal(hidden[low][0], ~hidden[~low][0])
    assert hidden[low][0].sum().item() == pytest.approx(np.pi * (RADIUS * 64) ** 2, rel=0.1)
    at = torch.arange(64) / 64
    slow, fast = (torch.sin(2 * np.pi * k * at).expand(1, 1, 64, 64) for k in (4, 5))
    for wave, kept in ((slow, ~low), (fast, low)):
        left = without(wave.expand(40, 1, 64, 64), hidden)
        assert (left[kept] - wave).abs().max() < 1e-5
        assert left[~kept].abs().max() < 1e-5


def test_noise_keeps_the_variance_of_the_input_scale() -> None:
    torch.manual_seed(0)
    images = 0.5 + 0.25 * torch.randn(3, 3, 100, 100)
    for level in (0.0, 0.3, 1.0):
        out = noised(images, torch.full((3, 1, 1, 1), level))
        assert out.std().item() == pytest.approx(0.25, rel=0.02)
        share = np.corrcoef(out.flatten(), images.flatten())[0, 1]
        assert share == pytest.approx(np.cos(level * np.pi / 2), abs=0.02)


def test_coarse_images_keep_means_and_lose_detail() -> None:
    board = (torch.arange(16) % 2).float().expand(1, 3, 16, 16)
    assert torch.equal(coarse(board), torch.full_like(board, 0.5))
    torch.manual_seed(0)
    changed = torch.rand(1, 3, 16, 16)
    swapped = changed.view(1, 3, 4, 4, 4, 4).flip(3).reshape(1, 3, 16, 16)  # rows change places within 4 x 4 blocks
    torch.testing.assert_close(coarse(changed), coarse(swapped))


def test_a_queue_forgets_the_oldest() -> None:
    torch.manual_seed(0)
    queue = Queue(5, 3)
    first = queue.kept.clone()
    torch.testing.assert_close(first.norm(dim=1), torch.ones(5))
    new = 2 * torch.eye(3)[:2]
    queue.push(new)
    assert torch.equal(queue.kept, torch.cat([first[2:], new / 2]))
    assert torch.equal(queue.nearest(torch.tensor([[9.0, 0.1, 0.0], [0.0, 3.0, 0.2]])), new / 2)
    queue.push(torch.rand(7, 3))
    assert len(queue.kept) == 5


def test_the_views_of_dinov2_and_nnclr_cross(recipe, corpus, monkeypatch) -> None:
    """Each view is predicted from the other one, never from itself; by hand from the networks' outputs."""
    x, y = (as_floats(corpus.images[k : k + 8])[..., :32, :32] for k in (0, 8))
    mask = (torch.arange(16) % 3 == 0).expand(16, 16)
    for module in (dinov2, nnclr):
        monkeypatch.setattr(module, "two_views", lambda *args: (x, y))
    monkeypatch.setattr(dinov2, "random_mask", lambda *args, **kwargs: mask)

    model = Job("dinov2", recipe).build(corpus)
    found = model.losses(Batch(x))["distil"].item()
    with torch.no_grad():
        student = model.heads[0](model.backbone.tokens(torch.cat([x, y]), mask).mean(1)).chunk(2)
        teacher = model.teacher_heads[0](model.teacher(torch.cat([x, y]))).chunk(2)
    cross = [
        -(sinkhorn(teacher[i], epsilon=0.05) * (student[1 - i] / 0.1).log_softmax(1)).sum(1).mean() for i in (0, 1)
    ]
    assert found == pytest.approx(np.mean(cross), rel=1e-5)

    model = Job("nnclr", recipe).build(corpus)
    found, support = model.losses(Batch(x))["contrast"].item(), Job("nnclr", recipe).build(corpus).support
    with torch.no_grad():
        first, second = (model.project(v) for v in model.backbone(torch.cat([x, y])).chunk(2))
        forth = pair_nce(support.nearest(first), model.predict(second), 0.1)
        back = pair_nce(support.nearest(second), model.predict(first), 0.1)
    assert found == pytest.approx((forth + back).item() / 2, rel=1e-5)
    pushed = torch.nn.functional.normalize(first, dim=1)
    torch.testing.assert_close(model.support.kept[-8:], pushed)
