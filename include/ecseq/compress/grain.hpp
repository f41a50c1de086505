#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecseq/compress/representatives.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::compress {

/// Grain (Zhang et al., "Grain: Improving data efficiency of graph neural networks via diversified
/// influence maximization", VLDB 2021).
struct GrainOptions {
  Index n_representatives = 500;   ///< K; fewer where fewer nodes cover all
  std::string diversity = "ball";  ///< "ball", the paper's ball-D, or "nearest", its NN-D
  double radius = 0.05;            ///< ball: as a share of the distance scale
  double scale_quantile = 0.99;    ///< distance scale: this quantile of the distances of random
                                   ///< pairs, which no single outlier can stretch; 1 = largest
  Index max_witnesses = 0;  ///< nodes on which gains are counted; 0 = 16,384 ("ball") or 1,024
                            ///< ("nearest")
  Index n_cases = 5;        ///< typical members kept per representative
  std::uint64_t seed = 0;   ///< the random pairs and the witnesses
  int num_threads = 0;      ///< the result does not depend on it
};

struct GrainResult {
  Compression compression;
  std::vector<Index> chosen;    ///< [K'], nodes in the order of their choice
  std::vector<double> gains;    ///< [K'], what each added to the objective
  double distance_scale = 0.0;  ///< by which distances are divided
  Index n_witnesses = 0;        ///< M, nodes on which gains were counted; N: exactly
};

/// Chooses nodes whose influence is large and diverse. With smooth features X_t = A_hat^2 X (see
/// graph/normalized_adjacency.hpp), sigma(S) the nodes that the chosen ones influence, those with
/// an entry in their rows of A_hat^2, and d the distance of two rows of X_t over the scale, at most
/// 1, the objective is
///   "ball":     the number of nodes v with d(v, u) <= radius for some u in sigma(S);
///   "nearest":  |sigma(S)| / N + (1 / N) sum over nodes v of (1 - min over u in sigma(S) d(v, u)),
/// the latter the paper's sum of influence and diversity, both normalised, with gamma = 1 (the code
/// its authors released takes the minimum over S). Greedy, the lower node on ties, until K nodes
/// are chosen or none adds anything: at least 1 - 1/e of the best set. A node with the same row of
/// X as a chosen one is passed over. The representatives are the chosen rows of X, and every row
/// goes to the nearest.
///
/// The sums over nodes v are counted on M witnesses: all nodes up to max_witnesses, exactly, and of
/// more nodes a random sample. A gain of g nodes then has a standard error of at most
/// sqrt(N g / M) ("nearest" counts influence exactly, and rounds d to 1 / 65,535). Where each
/// choice gains at least a times the most, the set has at least 1 - e^-a of the best value (Goundan
/// and Schulz, 2007). Memory N M / 8 bytes for balls, 2 N M for distances.
///
/// x: [N, h], finite, one row per node; labels: [N, channels]. Time O(N M h), and O(N h) for each
/// node that the chosen ones influence if balls are sampled; no more where balls are large. Throws
/// InvalidArgument for an option out of range and a graph that `graph::validate` refuses.
GrainResult grain(MatrixView<float> x, MatrixView<float> labels, const graph::SparseGraph& graph,
                  const GrainOptions& options, const ProgressCallback& progress = {});

}  // namespace ecseq::compress
