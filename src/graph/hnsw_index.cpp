#include "hnsw_index.hpp"

#include <faiss/IndexHNSW.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/HNSW.h>

#include <algorithm>

#include "ecseq/core/single_threaded_openmp.hpp"

namespace ecseq::graph {
namespace {

constexpr int kLinks = 32;      // of a row on the higher levels; twice as many on the lowest
constexpr Index kSlice = 1024;  // rows added between two reports of progress

}  // namespace

struct HnswIndex::Faiss {
  explicit Faiss(int columns) : index(columns, kLinks) {}
  faiss::IndexHNSWFlat index;
};

HnswIndex::HnswIndex(const Matrix<float>& x, const ProgressCallback& progress)
    : faiss_(std::make_unique<Faiss>(static_cast<int>(x.cols()))) {
  const SingleThreadedOpenMp scope;  // FAISS adds on all of OpenMP's threads
  for (Index first = 0; first < x.rows(); first += kSlice) {
    report(progress, {"graph", first, x.rows(), "hnsw"});
    faiss_->index.add(std::min(kSlice, x.rows() - first), x.row(first).data());
  }
}

HnswIndex::~HnswIndex() = default;

// Not by SearchParametersHNSW, beside which FAISS 1.7.3 still bounds its queue by this.
void HnswIndex::set_effort(int effort) { faiss_->index.hnsw.efSearch = effort; }

void HnswIndex::nearest(const Index* queries, Index n, Index k, std::int32_t* out) const {
  const faiss::IndexHNSWFlat& index = faiss_->index;
  const std::unique_ptr<faiss::DistanceComputer> distances(index.storage->get_distance_computer());
  faiss::VisitedTable visited(static_cast<int>(index.ntotal));
  // One more, for a row finds itself.
  const auto met = static_cast<std::size_t>(k) + 1;
  std::vector<faiss::Index::idx_t> rows(met);
  std::vector<float> found(met), x(static_cast<std::size_t>(index.d));
  for (Index q = 0; q < n; ++q) {
    index.reconstruct(queries[q], x.data());
    distances->set_query(x.data());
    std::fill(rows.begin(), rows.end(), -1);
    faiss::maxheap_heapify(met, found.data(), rows.data());
    index.hnsw.search(*distances, static_cast<int>(met), rows.data(), found.data(), visited);
    faiss::maxheap_reorder(met, found.data(), rows.data());
    Index kept = 0;
    for (std::size_t j = 0; j < met && kept < k; ++j) {
      if (rows[j] < 0 || rows[j] == queries[q]) continue;
      out[q * k + kept++] = static_cast<std::int32_t>(rows[j]);
    }
    std::fill(out + q * k + kept, out + (q + 1) * k, -1);
  }
}

}  // namespace ecseq::graph
