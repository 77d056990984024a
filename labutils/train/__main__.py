"""Train a CycleGAN from a shell, as lesson 3 does: at home, over ssh, in a batch queue."""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys

from labutils import profile, published
from labutils.base import console, files
from labutils.base.paths import place

DONE, FAILED, STOPPED = 0, 1, 3
SECONDS = 0.5  # between two looks at the run


def parser():
    main = argparse.ArgumentParser(
        prog="python -m labutils.train",
        description="Train a CycleGAN as lesson 3 does, with a progress bar. The same command resumes a run that was "
        "stopped or killed; on a CPU it then ends with the same bits.",
        epilog="The run's folder gets checkpoints/, samples/ (pictures by step), generators/ and log.jsonl (a line of "
        "losses for each step). Ctrl+C and SIGTERM stop after the current step and save. Exit code: 0 done, "
        "3 stopped, 1 failed (the reason is printed), 2 wrong command.",
    )
    main.add_argument("--run", metavar="FOLDER", type=place, required=True, help="the run's folder, new or to resume")
    main.add_argument(
        "--data", help="a rendered or published dataset, or a folder that 'labutils.datasets prepare' made"
    )
    main.add_argument("--profile", help=f"{', '.join(profile.PROFILES)}; default: LAB_PROFILE, otherwise class")
    main.add_argument("--steps", type=int, help="of the whole run; the learning rate falls in its second half")
    main.add_argument("--seed", type=int, default=0, help="of weights and order (%(default)s)")
    return main


def build(options):
    """Build the run that the command describes."""
    import tensorflow as tf

    from labutils import cyclegan, models, speed, training

    lab = profile.load(options.profile, options.data)
    if options.steps is not None:
        lab = dataclasses.replace(lab, steps=options.steps, constant_steps=options.steps // 2)
    speed.share_cores()
    root = published.ensure(lab)
    tf.keras.utils.set_random_seed(options.seed)
    weights = cyclegan.LossWeights(**lab.loss_weights)
    gan = cyclegan.CycleGAN(*models.networks(lab), loss_weights=weights, pool_size=lab.pool_size)
    return training.Run(gan, root, lab, options.run, seed=options.seed)


class Log:
    """Write ``log.jsonl``: one JSON object of losses for each step."""

    def __init__(self, run):
        self.run, self.path, self.count = run, run.directory / "log.jsonl", 0
        files.write(self.path, self._new().encode())  # a killed run has logged steps that it will repeat
        run.watchers.append(self.update)

    def update(self):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(self._new())

    def _new(self):
        history, before = self.run.history, self.count
        self.count = len(history["step"])
        lines = ({name: values[i] for name, values in history.items()} for i in range(before, self.count))
        return "".join(json.dumps({**line, "step": int(line["step"])}) + "\n" for line in lines)


def train(run):
    """Train to the end of the plan, or until Ctrl+C or SIGTERM; show progress and keep the log."""
    from tqdm import tqdm

    asked, said = [], set()
    before = {
        number: signal.signal(number, lambda *_: asked.append(True)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        Log(run)
        run.start()
        with tqdm(total=run.target, initial=run.step, desc=run.root.name, unit=" steps", mininterval=SECONDS) as bar:
            while run.running:
                with contextlib.suppress(TimeoutError):
                    run.wait(SECONDS)
                if asked:  # leaving while TensorFlow computes would abort the process
                    run.stop()
                for step, text in set(run.remarks) - said:
                    bar.write(f"step {step}: {text}", file=sys.stderr)
                    said.add((step, text))
                losses = run.history.get("generators") or [float("nan")]
                bar.set_postfix_str(f"{run.state}, generators' loss {losses[-1]:.2f}", refresh=False)
                bar.update(run.step - bar.n)
        run.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv=None):
    """Run the command; return the exit code."""
    options = parser().parse_args(argv)
    from labutils.checkpoints import CheckpointError  # imports TensorFlow, which --help need not

    try:
        run = build(options)
        train(run)
    except (ValueError, RuntimeError, ArithmeticError, OSError, CheckpointError, published.DownloadError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped before training began.", file=sys.stderr)
        return STOPPED
    print(f"{run.directory}: {run.state} at step {run.step} of {run.target}")
    return DONE if run.step >= run.target else STOPPED


if __name__ == "__main__":
    console.escape()
    sys.exit(main())
