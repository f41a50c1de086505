#include <cstdio>

#include "ecseq/core/sequences.hpp"

int main() {
  const ecseq::Sequences sequences(ecseq::Matrix<float>::Ones(5, 3), {0, 2, 5});
  std::printf("%d sequences, %d features\n", static_cast<int>(sequences.size()),
              static_cast<int>(sequences.features()));
  return sequences.view().length(1) == 3 ? 0 : 1;
}
