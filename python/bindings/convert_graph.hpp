#pragma once

// Sparse graphs to tuples of NumPy arrays and back.

#include "convert.hpp"
#include "ecseq/graph/sparse_graph.hpp"

namespace ecseq::bindings {

using NeighborArray = py::array_t<std::int32_t, py::array::c_style>;

template <class T>
py::array_t<T> copied(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// (offsets [n + 1], neighbours, weights)
inline py::tuple to_python(const graph::SparseGraph& graph) {
  return py::make_tuple(copied(graph.offsets), copied(graph.neighbors), copied(graph.weights));
}

inline std::optional<graph::SparseGraph> to_graph(const py::object& parts) {
  if (parts.is_none()) return {};
  const auto given = parts.cast<py::tuple>();
  graph::SparseGraph out;
  out.offsets = to_vector(given[0].cast<IntArray>());
  out.neighbors = to_vector(given[1].cast<NeighborArray>());
  out.weights = to_vector(given[2].cast<FloatArray>());
  return out;
}

}  // namespace ecseq::bindings
