# SPDX-License-Identifier: Apache-2.0
"""same_model_test with LeNet-5 on all of Fashion-MNIST."""
import unittest

import same_model_test


class SameLenetTest(same_model_test.SameModelTest):
    model = []


del same_model_test.SameModelTest  # this file runs the larger one alone

if __name__ == "__main__":
    unittest.main()
