"""Lessons 3 and 4: right answers pass, and each likely mistake gets the hint that names it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from labutils.checks import check
from labutils.extras import mistakes

MISSING = dict.fromkeys(["one orange for all", "nothing changes", "a blue wall"])


def missing(*answers):
    return dict(zip(MISSING, answers, strict=True))


def pooled_psnr(image, truth, mask):
    return -10 * np.log10(((image - truth) ** 2 * mask[..., None]).sum() / (3 * mask.sum()))


def pooled(pool, fake, size, swap, slot):
    if len(pool) < size:
        pool.append(fake)
    elif swap:
        pool[slot], fake = fake, pool[slot]
    return fake


def pool_without_end(pool, fake, size, swap, slot):
    pool.append(fake)
    return pool[slot] if swap and len(pool) > size else fake


def pool_shows_the_new_one(pool, fake, size, swap, slot):
    if len(pool) < size:
        pool.append(fake)
    elif swap:
        pool[slot] = fake
    return fake


def pool_loses_the_new_one(pool, fake, size, swap, slot):
    if len(pool) < size:
        pool.append(fake)
        return fake
    return pool[slot] if swap else fake


def pool_always_keeps(pool, fake, size, swap, slot):
    if len(pool) < size:
        pool.append(fake)
        return fake
    old, pool[slot] = pool[slot], fake
    return old if swap else fake


SHEETS = ["batch norm", "no cycle loss", "strong discriminators", "no identity loss", "no pool"]


def sheets(*answers):
    return dict(enumerate(answers, 1))


def kid(x, y, within=lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)), twice=2, channels=4):
    xx, yy, xy = ((p @ q.T / channels + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    return within(xx) + within(yy) - twice * xy.mean()


def rate(step, base=2e-4, constant=100, total=200, length=None):
    return base * min(1, max(0, (total - step) / (length or total - constant)))


RIGHT = {
    "3-pool": pooled,
    "3-mistakes": sheets(*SHEETS),
    "3-adversarial": lambda scores: tf.reduce_mean((scores - 1) ** 2),
    "3-cycle": lambda real_b, ab, ba: tf.reduce_mean(tf.abs(real_b - ab(ba(real_b)))),
    "3-missing": missing("cycle", "adversarial", "identity"),
    "3-rate": rate,
    "4-to-picture": lambda values: np.clip(np.round((values + 1) * 127.5), 0, 255).astype(np.uint8),
    "4-masked-psnr": pooled_psnr,
    "4-nearest": lambda fake, truths: int(np.argmin([((fake - t) ** 2).sum() for t in truths])),
    "4-pad": lambda height, levels: -height % 2**levels,
    "4-kid": kid,
}

WRONG = [
    ("3-adversarial", lambda s: tf.reduce_mean(s**2), "discriminator's goal"),
    ("3-adversarial", lambda s: tf.reduce_mean(tf.abs(s - 1)), "without the square"),
    ("3-adversarial", lambda s: tf.reduce_sum((s - 1) ** 2), "take the mean"),
    ("3-adversarial", lambda s: (s - 1) ** 2, "shape"),
    ("3-cycle", lambda b, ab, ba: tf.reduce_mean(tf.abs(b - ba(ab(b)))), "generator_ba first"),
    ("3-cycle", lambda b, ab, ba: tf.reduce_mean(tf.abs(b - ba(b))), "translate the fake back"),
    ("3-cycle", lambda b, ab, ba: tf.reduce_mean(tf.abs(b - ab(b))), "identity loss"),
    ("3-cycle", lambda b, ab, ba: tf.reduce_mean((b - ab(ba(b))) ** 2), "mean square"),
    ("3-missing", missing("?", "?", "?"), "not '\\?'"),
    ("3-missing", missing("adversarial", "adversarial", "identity"), "not the adversarial loss"),
    ("3-missing", missing("cycle", "adversarial", "cycle"), "blue wall"),
    ("3-rate", lambda step: None, "returned nothing"),
    ("3-rate", lambda step: 2e-4 * (200 - step) / 100, "first 100 steps"),
    ("3-rate", lambda step: 2e-4 * min(1, (200 - step) / 100), "negative"),
    ("3-rate", lambda step: 2e-4 if step < 100 else 2e-4 * (1 - step / 200), "starts at `constant`"),
    ("3-rate", lambda step: 2e-4 if step < 100 else max(0, 2e-4 * (1 - step / 200)), "starts at `constant`"),
    ("3-rate", lambda step: 2e-4 * min(1, 1 - (step - 100) / 200), "`total - constant` steps long"),
    ("3-rate", lambda step, base=2e-4, constant=100, total=200: rate(step, base, constant, total, constant), "any num"),
    ("3-rate", lambda step, base=2e-4, constant=100, total=200: rate(step, 2e-4, constant, total), "for base 1e-3"),
    ("3-pool", lambda pool, fake, size, swap, slot: fake, "not full"),
    ("3-pool", pool_without_end, "holds 3 pictures"),
    ("3-pool", pool_shows_the_new_one, "before you overwrite"),
    ("3-pool", pool_loses_the_new_one, "new one is lost"),
    ("3-pool", pool_always_keeps, "leave the pool unchanged"),
    ("3-mistakes", sheets(*"?????"), "Sheet 1: answer one of batch norm, .*not '\\?'"),
    ("3-mistakes", SHEETS, "dictionary"),
    ("3-mistakes", sheets(*SHEETS[:3], *SHEETS[:2:-1]), "Sheet 4: not no pool"),
    ("3-mistakes", sheets(SHEETS[1], SHEETS[0], *SHEETS[2:]), "Sheet 1: not no cycle loss"),
    ("4-to-picture", lambda v: np.clip((v + 1) * 127.5, 0, 255), "uint8"),
    ("4-to-picture", lambda v: np.clip(v * 255, -255, 255).astype(np.int64).astype(np.uint8), "shift before"),
    ("4-to-picture", lambda v: ((v + 1) * 127.5).astype(np.int64).astype(np.uint8), "wrap around"),
    ("4-to-picture", lambda v: np.clip((v + 1) * 127.5, 0, 255).astype(np.uint8), "round before"),
    ("4-to-picture", lambda v: np.clip(np.ceil((v + 1) * 127.5), 0, 255).astype(np.uint8), "not up"),
    ("4-to-picture", lambda v: np.clip(np.floor((v + 1) * 128), 0, 255).astype(np.uint8), "127.5 to the nearest"),
    ("4-masked-psnr", lambda i, t, m: -10 * np.log10(((i - t) ** 2).mean()), "whole picture"),
    (
        "4-masked-psnr",
        lambda i, t, m: -10 * np.log10(((i - t) ** 2 * m[..., None]).mean()),
        "inside the mask, not by all",
    ),
    ("4-masked-psnr", lambda i, t, m: -10 * np.log10(((i - t) ** 2 * m[..., None]).sum() / m.sum()), "three values"),
    ("4-masked-psnr", lambda i, t, m: -pooled_psnr(i, t, m), "sign"),
    ("4-nearest", lambda f, ts: int(np.argmax([((f - t) ** 2).sum() for t in ts])), "smallest squared error"),
    ("4-nearest", lambda f, ts: int(np.argmin([np.mean(f - t) ** 2 for t in ts])), "square first, then take the mean"),
    ("4-nearest", lambda f, ts: int(np.argmin([abs(np.mean(f - t)) for t in ts])), "square first, then take the mean"),
    ("4-nearest", lambda f, ts: int(np.argmin([np.mean(t - f) for t in ts])), "Darker is not nearer"),
    ("4-nearest", lambda f, ts: int(np.argmin([abs(f - t).mean() for t in ts])), "counts more than two"),
    ("4-nearest", lambda f, ts: int(np.argmin([abs(f - t).max() for t in ts])), "not only the largest"),
    ("4-kid", lambda x, y: abs(kid(x, y)), "may be negative"),
    ("4-pad", lambda height, levels: 2**levels - height % 2**levels, "add none"),
    ("4-pad", lambda height, levels: height % 2**levels, "missing to the \\*next\\*"),
    ("4-kid", lambda x, y: kid(x, y, within=np.mean), "leave the diagonal out"),
    ("4-kid", lambda x, y: kid(x, y, within=lambda k: (k.sum() - np.trace(k)) / len(k) ** 2), "pairs, not n²"),
    ("4-kid", lambda x, y: kid(x, y, twice=1), "between the sets twice"),
    ("4-kid", lambda x, y: kid(x, y, channels=1), "number of channels"),
    ("4-kid", lambda x, y: -kid(x, y), "sign"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_is_right(name, capsys, monkeypatch):
    monkeypatch.setenv("LAB_STRICT", "1")
    check(name, RIGHT[name])
    assert capsys.readouterr().out.startswith(f"{name}: right.\n")


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG)
def test_a_wrong_answer_gets_the_hint_that_names_it(name, answer, hint, monkeypatch):
    monkeypatch.setenv("LAB_STRICT", "1")
    with pytest.raises(AssertionError, match=f"{name}: not yet.*{hint}"):
        check(name, answer)


def test_a_check_never_raises_for_a_student(capsys, monkeypatch):
    monkeypatch.delenv("LAB_STRICT", raising=False)
    check("3-adversarial", lambda scores: 1 / 0)
    assert "Your code raised ZeroDivisionError" in capsys.readouterr().out
    check("3-rate", None)
    assert "not yet" in capsys.readouterr().out


def test_an_unknown_exercise_is_the_authors_mistake_and_raises():
    with pytest.raises(ValueError, match="'3-adversary'.*3-adversarial"):
        check("3-adversary", None)


def test_the_sheets_show_the_mistakes_that_can_be_trained(tiny, orchard_root, tmp_path):
    changes = mistakes.changes(tiny)
    assert sorted(changes) == sorted(SHEETS)
    healthy, *broken = (mistakes.run(name, tiny, orchard_root, tmp_path / str(name)) for name in (None, *changes))
    assert healthy.profile == dataclasses.replace(tiny, generator={**tiny.generator, "attention": False})
    for run, change in zip(broken, changes.values(), strict=True):
        assert run.profile == dataclasses.replace(healthy.profile, **change) != healthy.profile
    assert [run.gan.pool_a.size for run in broken].count(0) == 1
    with pytest.raises(ValueError, match="'no mask'.*no cycle loss"):
        mistakes.run("no mask", tiny, orchard_root, tmp_path)
