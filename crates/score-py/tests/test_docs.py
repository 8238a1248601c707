"""The examples in the documentation are right."""

from __future__ import annotations

import doctest
import unittest

import attend_score
from attend_score import _frames, _metric, _scorers


class Examples(unittest.TestCase):
    def test_they_give_what_they_show(self):
        for module in (attend_score, _scorers, _frames, _metric):
            failed, tried = doctest.testmod(module)
            self.assertEqual(failed, 0, module.__name__)
            self.assertGreater(tried, 0, module.__name__)


if __name__ == "__main__":
    unittest.main()
