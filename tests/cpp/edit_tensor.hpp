#pragma once

#include <utility>

#include "ecseq/core/shared_matrix.hpp"

namespace ecseq::testing {

/// Changes a copy of the tensor's numbers, edit(Matrix<float>&), and puts it in its place.
template <class Edit>
void edit(SharedMatrix& tensor, const Edit& edit) {
  Matrix<float> numbers = tensor.eigen();
  edit(numbers);
  tensor = std::move(numbers);
}

/// The same for one number.
inline void set(SharedMatrix& tensor, Index i, Index j, float value) {
  edit(tensor, [&](Matrix<float>& numbers) { numbers(i, j) = value; });
}

}  // namespace ecseq::testing
