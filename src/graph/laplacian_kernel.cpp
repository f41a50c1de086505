#include "laplacian_kernel.hpp"

#include <cmath>

namespace ecseq::graph {

LaplacianKernel::LaplacianKernel(const Laplacian& laplacian)
    : components_(connected_components(laplacian.graph())),
      entries_(components_.of_node.size(), 1.0) {
  std::vector<double> norms(components_.sizes.size(), 0.0);
  const auto component = [&](std::size_t i) {
    return static_cast<std::size_t>(components_.of_node[i]);
  };
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (laplacian.masses()[i] > 0) entries_[i] = std::sqrt(laplacian.masses()[i]);
    norms[component(i)] += entries_[i] * entries_[i];
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i] /= std::sqrt(norms[component(i)]);
}

template <class Block>
void LaplacianKernel::project(Block& x) const {
  Matrix<double> products = Matrix<double>::Zero(size(), x.cols());
  for (Index i = 0; i < x.rows(); ++i) products.row(of(i)) += entry(i) * x.row(i);
  for (Index i = 0; i < x.rows(); ++i) x.row(i) -= entry(i) * products.row(of(i));
}

void LaplacianKernel::project_out(Matrix<double>& x) const { project(x); }
void LaplacianKernel::project_out(Eigen::Ref<Eigen::VectorXd> x) const { project(x); }

Matrix<double> LaplacianKernel::vectors(Index count) const {
  Matrix<double> out = Matrix<double>::Zero(static_cast<Index>(entries_.size()), count);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Index component = components_.of_node[i];
    if (component < count) out(static_cast<Index>(i), component) = entries_[i];
  }
  return out;
}

}  // namespace ecseq::graph
