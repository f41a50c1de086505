#include "convert_graph.hpp"
#include "ecseq/compress/compressor.hpp"
#include "ecseq/compress/nearest_representative.hpp"
#include "ecseq/compress/quantile_groups.hpp"
#include "ecseq/compress/running_means.hpp"
#include "register.hpp"

namespace ecseq::bindings {
namespace {

compress::CompressorOptions to_options(const py::dict& given) {
  compress::CompressorOptions options;
  read(given, "method", options.method);
  read(given, "n_representatives", options.n_representatives);
  read(given, "group_counts", options.group_counts);
  read(given, "iterations", options.iterations);
  read(given, "max_points_per_centroid", options.max_points_per_centroid);
  read(given, "init", options.init);
  if (given.contains("centroids")) {
    options.centroids = view(given["centroids"].cast<FloatArray>()).eigen();
  }
  read(given, "spherical", options.spherical);
  read(given, "n_neighbors", options.n_neighbors);
  read(given, "power", options.power);
  read(given, "max_power", options.max_power);
  read(given, "radius", options.radius);
  read(given, "diversity", options.diversity);
  read(given, "max_witnesses", options.max_witnesses);
  read(given, "n_eigenpairs", options.n_eigenpairs);
  read(given, "eigen_tolerance", options.eigen_tolerance);
  read(given, "max_levels", options.max_levels);
  read(given, "n_cases", options.n_cases);
  read(given, "seed", options.seed);
  read(given, "num_threads", options.num_threads);
  return options;
}

py::dict to_python(compress::Compression result) {
  auto& r = result.representatives;
  const auto& report = result.report;
  return py::dict(
      py::arg("vectors") = to_array(std::move(r.vectors)), py::arg("mass") = copied(r.mass),
      py::arg("spread") = copied(r.spread), py::arg("radius") = copied(r.radius),
      py::arg("label_sums") = to_array(r.label_sums), py::arg("cases") = to_array(r.cases),
      py::arg("assignment") = copied(result.assignment),
      py::arg("report") = py::dict(
          py::arg("requested") = report.requested, py::arg("objective") = report.objective,
          py::arg("iterations") = report.iterations, py::arg("points_used") = report.points_used,
          py::arg("seconds") = report.seconds, py::arg("note") = report.note));
}

/// The row of `points` nearest to each row of x.
IntArray nearest_rows(const FloatArray& points, const FloatArray& x, int num_threads) {
  return copied(released(
      [&] { return compress::nearest_representative(view(points), view(x), num_threads); }));
}

compress::UpdateOptions to_update_options(const py::dict& given) {
  compress::UpdateOptions options;
  read(given, "keep", options.keep);
  read(given, "reach", options.reach);
  read(given, "min_mass", options.min_mass);
  read(given, "retire_below", options.retire_below);
  read(given, "seed", options.seed);
  read(given, "num_threads", options.num_threads);
  return options;
}

/// state: means, mass, spread, radius, label_sums and cases, as the result holds them.
py::dict update_representatives(const py::dict& state, const FloatArray& x,
                                const FloatArray& labels, const py::dict& given) {
  const auto doubles = [&](const char* name) { return to_vector(state[name].cast<DoubleArray>()); };
  const auto matrix = [](const auto& array) {
    using T = typename std::decay_t<decltype(array)>::value_type;
    return Matrix<T>(Eigen::Map<const Matrix<T>>(array.data(), array.shape(0), array.shape(1)));
  };
  const Matrix<double> means = matrix(state["means"].cast<DoubleArray>());
  compress::Representatives before;
  before.vectors = means.cast<float>();
  before.mass = doubles("mass");
  before.spread = doubles("spread");
  before.radius = doubles("radius");
  before.label_sums = matrix(state["label_sums"].cast<DoubleArray>());
  before.cases = matrix(state["cases"].cast<IntArray>());
  const compress::UpdateOptions options = to_update_options(given);
  compress::RunningMeans running(std::move(before), means);
  const compress::Drift drift =
      released([&] { return running.update(view(x), view(labels), options); });
  const compress::Representatives& after = running.representatives();
  return py::dict(
      py::arg("means") = to_array(running.means()), py::arg("mass") = copied(after.mass),
      py::arg("spread") = copied(after.spread), py::arg("radius") = copied(after.radius),
      py::arg("label_sums") = to_array(after.label_sums), py::arg("cases") = to_array(after.cases),
      py::arg("assignment") = copied(drift.assignment),
      py::arg("renumbered") = copied(drift.renumbered),
      py::arg("drift") = py::dict(
          py::arg("rows") = drift.rows, py::arg("beyond_radius") = drift.beyond_radius,
          py::arg("mass_shift") = drift.mass_shift, py::arg("label_shift") = drift.label_shift,
          py::arg("added") = drift.added, py::arg("retired") = drift.retired));
}

}  // namespace

void register_compress(py::module_& m) {
  m.def("compressor_names", &compress::compressor_names);
  m.def(
      "compress",
      [](const FloatArray& x, const FloatArray& labels, const NeighborArray& groups,
         const py::object& graph, const py::dict& options, const py::object& progress) {
        compress::CompressionInput input{view(x), view(labels), to_vector(groups), nullptr};
        const auto edges = to_graph(graph);
        if (edges) input.graph = &*edges;
        const auto compressor = to_options(options);
        const ProgressCallback callback = to_progress(progress);
        return to_python(released([&] { return compress::compress(input, compressor, callback); }));
      },
      py::arg("x"), py::arg("labels"), py::arg("groups"), py::arg("graph"), py::arg("options"),
      py::arg("progress"));
  m.def("nearest_rows", &nearest_rows, py::arg("points"), py::arg("x"), py::arg("num_threads"));
  m.def("update_representatives", &update_representatives, py::arg("state"), py::arg("x"),
        py::arg("labels"), py::arg("options"));
  m.def(
      "quantile_groups",
      [](const FloatArray& values, int bins) {
        return copied(compress::quantile_groups(
            {values.data(), static_cast<std::size_t>(values.size())}, bins));
      },
      py::arg("values"), py::arg("bins"));
}

}  // namespace ecseq::bindings
