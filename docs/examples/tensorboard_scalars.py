"""A TensorBoard tracker.

ganbench run dcgan-fashion -p tensorboard_scalars.py --track scalars
"""

from ganbench import Callback, TrackerPlugin, hookimpl


def build(options, context):
    from tensorboardX import SummaryWriter

    class Scalars(Callback):
        writer = SummaryWriter(str(context.directory / "scalars"))

        def on_window_end(self, progress):
            for name, value in progress.losses.items():
                self.writer.add_scalar(name, value, progress.images)

        def on_score(self, label, point):
            if point.value is not None:  # None if it is not finite
                self.writer.add_scalar(label, point.value, point.images)

        def on_run_end(self, result):
            self.writer.close()

    return Scalars()


@hookimpl
def ganbench_trackers():
    return [TrackerPlugin(name="scalars", summary="Losses and scores for TensorBoard", build=build)]
