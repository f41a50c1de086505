#include "ecseq/compress/nearest_representative.hpp"

#include "ecseq/core/parallel.hpp"
#include "ecseq/kernels/nearest.hpp"

namespace ecseq::compress {
namespace {

constexpr Index kChunk = 1024;

}  // namespace

std::vector<std::int64_t> nearest_representative(MatrixView<float> vectors, MatrixView<float> x,
                                                 int num_threads) {
  const RowVector<double> mean = vectors.eigen().cast<double>().colwise().mean();
  const auto centred = [&mean](const auto& rows) {
    return Matrix<float>((rows.template cast<double>().rowwise() - mean).template cast<float>());
  };
  const kernels::PackedDense points = kernels::pack_points(centred(vectors.eigen()));
  std::vector<std::int64_t> nearest(static_cast<std::size_t>(x.rows));
  parallel_chunks(x.rows, kChunk, num_threads, [&](Index begin, Index end) {
    const Matrix<float> rows = centred(x.eigen().middleRows(begin, end - begin));
    std::vector<float> distance(static_cast<std::size_t>(end - begin));
    kernels::assign_nearest(points, rows.data(), end - begin, nearest.data() + begin,
                            distance.data());
  });
  return nearest;
}

}  // namespace ecseq::compress
