"""Break the helpers on purpose, one line at a time, in a copy: a test and a lesson must both notice each break.

Run with ``make mutants``; ``python tests/mutants.py WORD…`` takes only those whose titles hold one of the words.
Prints a line for each mutant and ends with an error if one survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

# (what is broken, file, line as it is, line as broken, test file, lesson)
MUTANTS = [
    (
        "adversarial loss: the wishes swapped",
        "labutils/losses.py",
        "scores - 1.0 if real else scores",
        "scores if real else scores - 1.0",
        "test_losses.py",
        "03_train",
    ),
    (
        "cycle loss: the sign",
        "labutils/losses.py",
        "tf.reduce_mean(tf.abs(real - cycled))",
        "-tf.reduce_mean(tf.abs(real - cycled))",
        "test_losses.py",
        "03_train",
    ),
    (
        "identity loss: squares instead of absolute values",
        "labutils/losses.py",
        "tf.reduce_mean(tf.abs(real - same))",
        "tf.reduce_mean(tf.square(real - same))",
        "test_losses.py",
        "03_train",
    ),
    (
        "discriminator loss: not halved",
        "labutils/losses.py",
        "return 0.5 * (",
        "return 1.0 * (",
        "test_losses.py",
        "03_train",
    ),
    (
        "pairing in the step: identity of the wrong domain",
        "labutils/cyclegan.py",
        "self._each(self.generator_ba, real_b, real_a)",
        "self._each(self.generator_ba, real_b, real_b)",
        "test_cyclegan.py",
        "03_train",
    ),
    (
        "pairing in the step: a discriminator is shown the other domain",
        "labutils/cyclegan.py",
        "self._each(self.discriminator_a, real_a, shown_a)",
        "self._each(self.discriminator_a, real_a, shown_b)",
        "test_cyclegan.py",
        "03_train",
    ),
    (
        "pool: never swaps",
        "labutils/cyclegan.py",
        "stateless_uniform((), seed + 1) < 0.5",
        "stateless_uniform((), seed + 1) < 0.0",
        "test_cyclegan.py",
        "03_train",
    ),
    (
        "instance norm: statistics over the batch too",
        "labutils/layers.py",
        "tf.nn.moments(x, axes=(1, 2), keepdims=True)",
        "tf.nn.moments(x, axes=(0, 1, 2), keepdims=True)",
        "test_layers.py",
        "02_models",
    ),
    (
        "reflection padding: the border pixel twice",
        "labutils/layers.py",
        'mode="REFLECT"',
        'mode="SYMMETRIC"',
        "test_layers.py",
        "02_models",
    ),
    (
        "receptive field: the stride forgotten",
        "labutils/models.py",
        "distance *= layer.strides[0]",
        "distance *= 1",
        "test_models.py",
        "02_models",
    ),
    (
        "pairing in the data: test pictures of different scenes",
        "labutils/scenes/render.py",
        'f"test{domain}/{i:04}.png": first + i + 2 * SCENES_PER_SET',
        'f"test{domain}/{i:04}.png": first + i + "AB".index(domain) + 2 * SCENES_PER_SET',
        "test_rendered.py",
        "01_dataset",
    ),
    (
        "pipeline: one augmentation for both domains",
        "labutils/datasets/pipeline.py",
        "stateless_fold_in([seed, domain], sample)",
        "stateless_fold_in([seed, 0], sample)",
        "test_pipeline.py",
        "01_dataset",
    ),
    (
        "translation: pictures too dark",
        "labutils/translate.py",
        "to_uint8(fake[:height, :width], -1, 1)",
        "to_uint8(fake[:height, :width], -1, 1.1)",
        "test_translate.py",
        "04_translate",
    ),
    (
        "metrics: the mask inverted",
        "labutils/metrics.py",
        "squared_error(image, truth, mask).sum() / (3 * mask.sum())",
        "squared_error(image, truth, 1 - mask).sum() / (3 * mask.sum())",
        "test_metrics.py",
        "04_translate",
    ),
]


def run(copy, *arguments):
    """Run pytest in the copy; whether it passed."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "LAB_PROFILE": "smoke", "LAB_STRICT": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True).returncode == 0


def main():
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(part in mutant[0] for part in sys.argv[1:])]
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in filter(None, files):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        for title, name, line, broken, test, lesson in chosen:
            text = (copy / name).read_text()
            if text.count(line) != 1:
                raise SystemExit(f"{name} should hold {line!r} once: bring this list up to date.")
            (copy / name).write_text(text.replace(line, broken))
            shutil.rmtree(copy / "runs", ignore_errors=True)
            by_test = not run(copy, f"tests/{test}")
            by_lesson = not run(copy, "--nbval", "--nbval-current-env", f"notebooks/solutions/{lesson}.ipynb")
            (copy / name).write_text(text)
            caught = {
                (True, True): "caught by both",
                (True, False): "NOT BY THE LESSON",
                (False, True): "NOT BY THE TEST",
            }
            print(f"{title}: {caught.get((by_test, by_lesson), 'SURVIVED')} ({test}, {lesson})", flush=True)
            survivors += [] if by_test and by_lesson else [title]
    if survivors:
        raise SystemExit(f"{len(survivors)} of {len(chosen)} not caught by both: {'; '.join(survivors)}")
    print(f"{len(chosen)} mutants, each caught by a test and by a lesson.")


if __name__ == "__main__":
    main()
