// SPDX-License-Identifier: Apache-2.0
#include "kernels.hpp"
#include "libtorch/models.hpp"

namespace tributary::internal {
namespace {

class PoolRelu : public torch::autograd::Function<PoolRelu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given) {
    const at::Tensor input = given.contiguous();
    const std::int64_t height = input.size(2);
    const std::int64_t width = input.size(3);
    const std::int64_t rows = height / 2;
    const std::int64_t columns = width / 2;
    at::Tensor output = at::empty({input.size(0), input.size(1), rows, columns}, input.options());
    at::Tensor winners = at::empty(output.sizes(), input.options().dtype(at::kInt));
    const float* from = input.data_ptr<float>();
    float* to = output.data_ptr<float>();
    auto* winner = winners.data_ptr<std::int32_t>();
    for (std::int64_t plane = input.size(0) * input.size(1); plane > 0; --plane, from += height * width) {
      for (std::int64_t row = 0; row < rows; ++row, to += columns, winner += columns) {
        best_kernels().pool_forward(from + 2 * row * width, from + (2 * row + 1) * width,
                                    static_cast<std::size_t>(columns), to, winner);
      }
    }
    context->save_for_backward({winners});
    context->saved_data["height"] = height;
    context->saved_data["width"] = width;
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor winners = context->get_saved_variables()[0];
    const at::Tensor gradient = gradients[0].contiguous();
    const std::int64_t height = context->saved_data["height"].toInt();
    const std::int64_t width = context->saved_data["width"].toInt();
    const std::int64_t rows = winners.size(2);
    const std::int64_t columns = winners.size(3);
    const at::IntArrayRef shape = winners.sizes();
    const bool whole = height == 2 * rows && width == 2 * columns;
    at::Tensor input = whole ? at::empty({shape[0], shape[1], height, width}, gradient.options())
                             : at::zeros({shape[0], shape[1], height, width}, gradient.options());
    const float* from = gradient.data_ptr<float>();
    const auto* winner = winners.data_ptr<std::int32_t>();
    float* to = input.data_ptr<float>();
    for (std::int64_t plane = shape[0] * shape[1]; plane > 0; --plane, to += height * width) {
      for (std::int64_t row = 0; row < rows; ++row, from += columns, winner += columns) {
        best_kernels().pool_backward(from, winner, static_cast<std::size_t>(columns), to + 2 * row * width,
                                     to + (2 * row + 1) * width);
      }
    }
    return {input};
  }
};

}  // namespace

at::Tensor pool_relu(const at::Tensor& input) {
  if (input.device().is_cpu() && input.scalar_type() == at::kFloat && input.dim() == 4) {
    return PoolRelu::apply(input);
  }
  return at::relu(at::max_pool2d(input, {2, 2}));
}

}  // namespace tributary::internal
