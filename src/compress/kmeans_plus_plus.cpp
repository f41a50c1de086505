#include "kmeans_plus_plus.hpp"

#include "ecseq/core/rng.hpp"
#include "nearest_chosen.hpp"

namespace ecseq::compress {

std::vector<Index> kmeans_plus_plus(MatrixView<float> x, Index k, std::uint64_t seed, int threads,
                                    const ProgressCallback& progress) {
  Rng rng(seed);
  NearestChosen nearest(x, threads);
  std::vector<Index> chosen{rng.below(x.rows)};
  while (static_cast<Index>(chosen.size()) < k) {
    report(progress, {"compress", 0, 0, "k-means++"});
    nearest.choose(chosen.back());
    chosen.push_back(nearest.at(rng.uniform() * nearest.total()));
  }
  return chosen;
}

}  // namespace ecseq::compress
