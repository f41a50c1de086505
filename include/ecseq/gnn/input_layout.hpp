#pragma once

#include <string>
#include <vector>

#include "ecseq/core/matrix.hpp"

namespace ecseq::gnn {

/// Which columns of a relation layer's dense input belong to what. For one GraphSAGE-mean layer
/// (Hamilton et al. 2017; ECSeq section III-D),
///
///   z = act(W_self x_t + sum over relations r of W_r m_r + b),
///   m_r = weighted mean over the representatives j that relation r attaches to t of node_r(j),
///
/// the means are such columns: no target is attached to a target, and the representatives' features
/// are fixed while the layer trains, so m_r is computed once per target, and
/// W_self x + W_1 m_1 + ... = [W_self; W_1; ...]^T [x, m_1, ...] is a dense layer.
class InputLayout {
 public:
  struct Block {
    std::string name;  ///< "self", "similarity", or the entity's name
    Index begin = 0;   ///< first input column
    Index size = 0;
  };

  /// Appends a block of input columns; its number.
  std::size_t add_block(std::string name, Index size) {
    blocks_.push_back({std::move(name), width_, size});
    width_ += size;
    return blocks_.size() - 1;
  }

  const std::vector<Block>& blocks() const { return blocks_; }

 private:
  std::vector<Block> blocks_;
  Index width_ = 0;  ///< columns of the input [x, m_1, m_2, ...]
};

}  // namespace ecseq::gnn
