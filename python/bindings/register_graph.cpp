#include "convert_graph.hpp"
#include "ecseq/graph/components.hpp"
#include "ecseq/graph/eigenpairs.hpp"
#include "ecseq/graph/epsilon_graph.hpp"
#include "ecseq/graph/knn_graph.hpp"
#include "ecseq/graph/laplacian.hpp"
#include "register.hpp"

namespace ecseq::bindings {
namespace {

graph::LaplacianKind kind_of(bool normalized) {
  return normalized ? graph::LaplacianKind::kNormalized : graph::LaplacianKind::kCombinatorial;
}

/// (data, indices, indptr), as SciPy takes them
py::tuple laplacian(const py::tuple& parts, bool normalized) {
  const graph::SparseGraph edges = *to_graph(parts);
  const auto matrix = released([&] {
    validate(edges);
    return graph::Laplacian(edges, kind_of(normalized)).sparse();
  });
  using Positions = py::array_t<std::int32_t>;
  return py::make_tuple(py::array_t<double>(matrix.nonZeros(), matrix.valuePtr()),
                        Positions(matrix.nonZeros(), matrix.innerIndexPtr()),
                        Positions(matrix.outerSize() + 1, matrix.outerIndexPtr()));
}

/// (values [n], vectors [nodes, n], report)
py::tuple eigenpairs(const py::tuple& parts, bool normalized, const py::dict& given,
                     const py::object& progress) {
  graph::EigenpairOptions options;
  read(given, "count", options.count);
  read(given, "tolerance", options.tolerance);
  read(given, "max_iterations", options.max_iterations);
  read(given, "solver", options.solver);
  read(given, "seed", options.seed);
  read(given, "num_threads", options.num_threads);
  const graph::SparseGraph edges = *to_graph(parts);
  const ProgressCallback callback = to_progress(progress);
  auto pairs = released([&] {
    validate(edges);
    return graph::first_eigenpairs(graph::Laplacian(edges, kind_of(normalized)), options, callback);
  });
  return py::make_tuple(
      copied(pairs.values), to_array(std::move(pairs.vectors)),
      py::dict(py::arg("iterations") = pairs.iterations, py::arg("residual") = pairs.residual,
               py::arg("converged") = pairs.converged));
}

IntArray connected_components(const py::tuple& parts) {
  const graph::SparseGraph edges = *to_graph(parts);
  return copied(released([&] {
                  validate(edges);
                  return graph::connected_components(edges);
                }).of_node);
}

}  // namespace

void register_graph(py::module_& m) {
  m.def(
      "knn_graph",
      [](const FloatArray& x, Index k, const py::dict& given, const py::object& progress) {
        graph::KnnGraphOptions options;
        read(given, "weight", options.weight);
        read(given, "metric", options.search.metric);
        read(given, "approximate_above", options.search.approximate_above);
        read(given, "index", options.search.index);
        read(given, "recall", options.search.recall);
        read(given, "seed", options.search.seed);
        read(given, "num_threads", options.search.num_threads);
        const ProgressCallback callback = to_progress(progress);
        const auto found =
            released([&] { return graph::knn_graph(view(x), k, options, callback); });
        return py::make_tuple(to_python(found.graph), found.recall);
      },
      py::arg("x"), py::arg("k"), py::arg("options"), py::arg("progress"));
  m.def(
      "epsilon_graph",
      [](const FloatArray& x, double radius, const py::dict& given, const py::object& progress) {
        graph::EpsilonGraphOptions options;
        read(given, "metric", options.metric);
        read(given, "max_edges", options.max_edges);
        read(given, "num_threads", options.num_threads);
        const ProgressCallback callback = to_progress(progress);
        return to_python(
            released([&] { return graph::epsilon_graph(view(x), radius, options, callback); }));
      },
      py::arg("x"), py::arg("radius"), py::arg("options"), py::arg("progress"));
  m.def(
      "correlation_graph",
      [](const FloatArray& series, double threshold, const py::dict& given,
         const py::object& progress) {
        graph::CorrelationGraphOptions options;
        read(given, "max_edges", options.max_edges);
        read(given, "num_threads", options.num_threads);
        const ProgressCallback callback = to_progress(progress);
        return to_python(released(
            [&] { return graph::correlation_graph(view(series), threshold, options, callback); }));
      },
      py::arg("series"), py::arg("threshold"), py::arg("options"), py::arg("progress"));
  m.def("laplacian", &laplacian, py::arg("graph"), py::arg("normalized"));
  m.def("eigenpairs", &eigenpairs, py::arg("graph"), py::arg("normalized"), py::arg("options"),
        py::arg("progress"));
  m.def("connected_components", &connected_components, py::arg("graph"));
}

}  // namespace ecseq::bindings
