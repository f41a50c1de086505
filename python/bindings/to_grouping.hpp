#pragma once

#include "convert.hpp"
#include "ecseq/compress/compressor.hpp"

namespace ecseq::bindings {

/// A Python callable (X [N, h], K) -> (clusters [N], vectors [clusters, h] or None).
inline compress::GroupingFunction to_grouping(const py::object& callable) {
  return [shared = shared_object(callable)](const compress::CompressionInput& input,
                                            Index n_representatives) {
    const py::gil_scoped_acquire gil;
    const auto found =
        (*shared)(to_array(Matrix<float>(input.x.eigen())), n_representatives).cast<py::tuple>();
    compress::Grouping grouping;
    grouping.cluster = to_vector(found[0].cast<IntArray>());
    if (!found[1].is_none()) grouping.vectors = view(found[1].cast<FloatArray>()).eigen();
    return grouping;
  };
}

}  // namespace ecseq::bindings
