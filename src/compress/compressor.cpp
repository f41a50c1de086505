#include "ecseq/compress/compressor.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "ecseq/compress/agc.hpp"
#include "ecseq/compress/baselines.hpp"
#include "ecseq/compress/grain.hpp"
#include "ecseq/core/error.hpp"
#include "ecseq/core/stopwatch.hpp"
#include "ecseq/graph/knn_graph.hpp"

namespace ecseq::compress {
namespace {

const std::string kCustom = "custom";

/// One compression: what there is, how, and who hears of it.
struct Job {
  const CompressionInput& input;
  const CompressorOptions& options;
  const ProgressCallback& progress;

  KMeansOptions kmeans() const {
    KMeansOptions out;
    common(out);
    out.iterations = options.iterations;
    out.max_points_per_centroid = options.max_points_per_centroid;
    out.init = options.init;
    out.centroids = options.centroids;
    out.spherical = options.spherical;
    return out;
  }
  template <class Options>
  Options common() const {
    Options out;
    common(out);
    return out;
  }
  template <class Options>
  void common(Options& out) const {
    out.n_representatives = options.n_representatives;
    out.n_cases = options.n_cases;
    out.seed = options.seed;
    out.num_threads = options.num_threads;
  }

  const std::vector<int>& group() const {
    if (static_cast<Index>(input.group.size()) != input.x.rows) {
      throw InvalidArgument("group: '" + options.method + "' needs one per row, " +
                            std::to_string(input.x.rows) + ", got " +
                            std::to_string(input.group.size()));
    }
    return input.group;
  }
  /// f(graph), with the graph given or one of nearest neighbours.
  template <class F>
  Compression with_graph(const F& f) const {
    if (input.graph != nullptr) return f(*input.graph);
    if (input.x.rows < 2) return f(graph::SparseGraph{{0, 0}, {}, {}});
    graph::KnnGraphOptions build;
    build.search.seed = options.seed;
    build.search.num_threads = options.num_threads;
    const Index k = std::min(options.n_neighbors, input.x.rows - 1);
    return f(graph::knn_graph(input.x, k, build, progress).graph);
  }
};

using Method = std::function<Compression(const Job&)>;

Compression by_agc(const Job& job) {
  return job.with_graph([&](const graph::SparseGraph& graph) {
    auto options = job.common<AgcOptions>();
    options.power = job.options.power;
    options.max_power = job.options.max_power;
    options.iterations = job.options.iterations;
    return agc(job.input.x, job.input.labels, graph, options, job.progress).compression;
  });
}

Compression by_grain(const Job& job) {
  return job.with_graph([&](const graph::SparseGraph& graph) {
    auto options = job.common<GrainOptions>();
    options.radius = job.options.radius;
    options.diversity = job.options.diversity;
    options.max_witnesses = job.options.max_witnesses;
    return grain(job.input.x, job.input.labels, graph, options, job.progress).compression;
  });
}

Compression by_coarsening(const Job& job) {
  return job.with_graph([&](const graph::SparseGraph& graph) {
    auto options = job.common<CoarseningOptions>();
    options.method = job.options.method;
    options.n_eigenpairs = job.options.n_eigenpairs;
    options.eigen_tolerance = job.options.eigen_tolerance;
    options.max_levels = job.options.max_levels;
    return coarsen(job.input.x, job.input.labels, graph, options, job.progress);
  });
}

Compression by_custom(const Job& job) {
  if (!job.options.custom) {
    throw InvalidArgument(
        "compressor: 'custom' needs the function it stands for, which a model file does not keep");
  }
  const Stopwatch stopwatch;
  report(job.progress, {"compress", 0, 1, ""});
  const Grouping grouping = job.options.custom(job.input, job.options.n_representatives);
  Compression out = represent_grouping(job.input.x, job.input.labels, grouping, job.options.n_cases,
                                       job.options.num_threads);
  out.report.requested = job.options.n_representatives;
  out.report.seconds = stopwatch.seconds();
  return out;
}

const std::map<std::string, Method>& methods() {
  static const std::map<std::string, Method> known = [] {
    std::map<std::string, Method> out;
    out["kmeans"] = [](const Job& t) {
      return kmeans(t.input.x, t.input.labels, t.kmeans(), t.progress);
    };
    out["balanced_kmeans"] = [](const Job& t) {
      return balanced_kmeans(t.input.x, t.input.labels, t.group(), t.options.group_counts,
                             t.kmeans(), t.progress);
    };
    out["agc"] = by_agc;
    out["grain"] = by_grain;
    for (const char* name : {"variation_neighborhoods", "variation_edges", "variation_cliques",
                             "heavy_edge", "algebraic_jc", "affinity_gs", "kron"}) {
      out[name] = by_coarsening;
    }
    out["random"] = [](const Job& t) {
      return random_rows(t.input.x, t.input.labels, t.common<BaselineOptions>(), t.progress);
    };
    out["stratified_random"] = [](const Job& t) {
      return stratified_random_rows(t.input.x, t.input.labels, t.group(), t.options.group_counts,
                                    t.common<BaselineOptions>(), t.progress);
    };
    out["k_center"] = [](const Job& t) {
      return k_center(t.input.x, t.input.labels, t.common<BaselineOptions>(), t.progress);
    };
    out["medoids"] = [](const Job& t) {
      return medoids(t.input.x, t.input.labels, t.kmeans(), t.progress);
    };
    return out;
  }();
  return known;
}

}  // namespace

const std::vector<std::string>& compressor_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& [name, method] : methods()) out.push_back(name);
    return out;
  }();
  return names;
}

void require_compressor(const char* option, const std::string& method) {
  if (method == kCustom || methods().count(method) > 0) return;
  std::string known;
  for (const auto& name : compressor_names()) known += (known.empty() ? "'" : ", '") + name + "'";
  throw InvalidArgument(std::string(option) + ": '" + method + "' is not one of " + known);
}

Compression compress(const CompressionInput& input, const CompressorOptions& options,
                     const ProgressCallback& progress) {
  require_compressor("method", options.method);
  if (options.method == kCustom) return by_custom({input, options, progress});
  return methods().at(options.method)({input, options, progress});
}

}  // namespace ecseq::compress
