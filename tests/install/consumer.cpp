#include <cstdio>

#include "ecseq/core/instruction_set.hpp"
#include "ecseq/core/sequences.hpp"

int main() {
  const ecseq::Sequences sequences(ecseq::Matrix<float>::Ones(5, 3), {0, 2, 5});
  std::printf("%d sequences, %d features, %s\n", static_cast<int>(sequences.size()),
              static_cast<int>(sequences.features()), ecseq::instruction_set().data());
  return sequences.view().length(1) == 3 ? 0 : 1;
}
