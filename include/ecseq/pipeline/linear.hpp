#pragma once

#include "ecseq/pipeline/network.hpp"

namespace ecseq::pipeline {

/// The linear base to convergence: logistic (softmax) regression by L-BFGS on all rows, or least
/// squares for regression, on standardised inputs with a ridge of `l2` / n on the weights (as
/// scikit-learn's default C = 1). Sums run in fixed chunks: the same bits for every thread count.
Network fit_linear(const TrainingSet& training, Task task, int num_threads,
                   const ProgressCallback& progress, double l2 = 1.0);

}  // namespace ecseq::pipeline
