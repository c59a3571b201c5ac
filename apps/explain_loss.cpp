// explain_loss: the supervised contrastive loss of a small batch, matrix by matrix, with an explanation of
// each.
//
// Everything is computed twice: here step by step, with the matrices that the library never builds, and by
// supcon(). The program fails if the results differ.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/explanation/page.h>
#include <kindred/apps/explanation/steps.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/layers/linear/linear.h>  // defines: linear, here the product z z^T
#include <kindred/losses/supcon/supcon.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace kindred {
namespace {

constexpr float temperature = explained_temperature;
constexpr std::int64_t most_rows = 64;

struct Arguments {
  std::vector<int> labels{3, 0, 2, 3};
  int views = 2;
  bool self_supervised = false;
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

void check_against_library(double computed, double from_library, const std::string& what) {
  check(std::abs(computed - from_library) <= 1e-9 * (1 + std::abs(from_library)), ExitCode::internal,
        "{}: step by step it is {}, but supcon() says {}", what, computed, from_library);
}

void check_arguments(const Arguments& arguments) {
  check(arguments.views == 2 || arguments.views == 3, ExitCode::usage, "--views {}: use 2 or 3",
        arguments.views);
  check(arguments.labels.size() >= 2, ExitCode::usage,
        "--labels: a single image cannot be compared with anything; give at least two labels, for example "
        "3 0 2 3");
  const auto rows = static_cast<std::int64_t>(arguments.labels.size()) * arguments.views;
  check(rows <= most_rows, ExitCode::usage,
        "--labels: {} images in {} views are {} rows; at most {} are printed", arguments.labels.size(),
        arguments.views, rows, most_rows);
}

void print_batch(const Arguments& arguments, const Tensor& features) {
  const Matrix z(features);
  const std::size_t images = arguments.labels.size();
  heading(1, "The features: one row for each view, scaled to length 1",
          "l2_normalize(), layers/l2_normalize/l2_normalize.cpp");
  say(fmt::format("  {:>4}  {:>4}  {:>5}  {:>5}  {:<36}  {}", "row", "view", "image", "label", "  feature z",
                  "length"));
  for (std::size_t i = 0; i < z.rows; ++i) {
    std::string feature;
    double squares = 0;
    for (std::size_t d = 0; d < z.columns; ++d) {
      feature += fmt::format("{:>9.4f}", z(i, d));
      squares += z(i, d) * z(i, d);
    }
    say(fmt::format("  {:>4}  {:>4}  {:>5}  {:>5}  {:<36}  {:.4f}", i, i / images, i % images,
                    arguments.labels[i % images], feature, std::sqrt(squares)));
  }
  explain(
      "Rows are view-major: first every image in its first view, then every image in the next. With all "
      "lengths 1, "
      "a dot product of two rows is the cosine of the angle between them, 1 for equal directions.");
  if (arguments.self_supervised)
    explain("Self-supervised: the loss never sees the labels. An image's own number is its class.");
}

void print_similarities(const Steps& steps) {
  heading(2, fmt::format("Similarities over the temperature: z_i . z_j / T, T = {}", temperature),
          "logit() in losses/supcon/reference.cpp, for_each_tile() in losses/supcon/cpu.cpp");
  print_matrix(steps.similarities, false);
  explain(
      fmt::format("Dividing by a small T stretches cosines from [-1, 1] to [-{0:.2f}, {0:.2f}], so that the "
                  "softmax below turns on small differences. The diagonal compares each row with itself. It is "
                  "always 1/T and carries no information.",
                  1 / temperature));

  heading(3, "The maximum of each row, without the anchor",
          "forward() in losses/supcon/reference.cpp, sum_row() in losses/supcon/cpu_rows.cpp");
  for (std::size_t i = 0; i < steps.maxima.size(); ++i)
    say(fmt::format("{}{:>7.2f}", row_name(i), steps.maxima[i]));
  explain(
      "Subtracting one number from a whole row changes no probability, and it keeps exp() from overflowing: "
      "exp(1/T) "
      "is too large for a float once T is below 0.0113.");
}

void print_mask(const Arguments& arguments, const Steps& steps) {
  heading(4, "The positive mask: 1 where the column is another view of the anchor's class",
          fmt::format("match() in losses/supcon/reference.cpp, {}() in losses/supcon/supcon.cpp",
                      arguments.self_supervised ? "simclr_labels" : "repeat_labels"));
  for (std::size_t i = 0; i < steps.groups.size(); ++i) {
    std::string line = row_name(i);
    for (std::size_t j = 0; j < steps.groups.size(); ++j) line += steps.positive(i, j) ? " 1" : " 0";
    say(line);
  }
  explain(arguments.self_supervised ? "Only the other views of the same image are positives: this is SimCLR's "
                                      "NT-Xent. The anchor is not its "
                                      "own positive."
                                    : "Every view of every image with the anchor's label is a positive, its "
                                      "own other views too. The anchor "
                                      "is not its own positive.");
}

void print_probabilities(const Steps& steps) {
  heading(5, "Logits: similarities minus the row's maximum",
          "forward() in losses/supcon/reference.cpp, sum_row() in losses/supcon/cpu_rows.cpp");
  print_matrix(steps.logits, true);
  explain("The best match of each anchor now has the logit 0; all others are below 0.");

  heading(6, "Log-probabilities: logits minus the log of the row's sum of exp(logit), without the anchor",
          "forward() in losses/supcon/reference.cpp; backward needs the log of the sum, lse");
  print_matrix(steps.log_probabilities, true);
  explain(
      "The exp() values of a row add up to 1. Each is the probability of that row if the anchor's partner "
      "were drawn by similarity. The sum runs over everything but the anchor, positives included.");
}

void print_losses(const Steps& steps, const SupConStatistics& statistics, double library_mean) {
  heading(7, "The loss of each anchor: minus the mean log-probability of its positives",
          "supcon(), losses/supcon/supcon.cpp: SupConStatistics::anchor_losses");
  const std::vector<double> from_library = statistics.anchor_losses.to_vector<double>();
  say("              positives     loss   supcon()");
  for (std::size_t i = 0; i < steps.losses.size(); ++i) {
    check_against_library(steps.losses[i], from_library[i], fmt::format("the loss of anchor {}", i));
    say(fmt::format("{} {:>10} {:>8.4f}   {:>8.4f}", row_name(i), steps.positives(i), steps.losses[i],
                    from_library[i]));
  }
  explain(
      "The loss is small if the positives are the most similar rows, and large otherwise. Its minimum is not "
      "zero: an anchor with k positives must share the probability among them, which leaves ln k.");

  check_against_library(mean(steps.losses), library_mean, "the mean loss");
  heading(8, "The loss of the batch: the mean over the anchors", "supcon(), losses/supcon/supcon.cpp");
  say(fmt::format("  mean loss: {:.6f}   supcon(): {:.6f}", mean(steps.losses), library_mean));
  explain(fmt::format(
      "If all features were equal, the loss would be ln(rows - 1) = {:.4f} (collapse_value()): an encoder "
      "whose loss stays there has collapsed. Some libraries multiply the loss by T/0.07 or by T; here it is "
      "unscaled.",
      collapse_value(static_cast<std::int64_t>(steps.losses.size()))));
}

// ---- two additional explanations

// Two rows whose products form the matrix that introductions to this loss often show.
void print_maximum_with_self() {
  const double a = 128.8697, b = -12.0467, c = 50.5816;  // [[a, b], [b, c]]
  const double x = std::sqrt(a), y = b / x;
  const Tensor features =
      Tensor::from(std::vector<double>{x, 0, y, std::sqrt(c - y * y)}, {2, 2}, Device::reference);
  const Tensor labels = Tensor::zeros({2}, DType::i32, Device::reference);
  const Matrix products(linear(features, features, Tensor()));
  SupConStatistics statistics;
  supcon(features, labels, {.temperature = 1}, &statistics);
  const std::vector<double> losses = statistics.anchor_losses.to_vector<double>();

  say("\nWhy the anchor is left out before the maximum is taken");
  explain(
      "Introductions take the maximum over the whole row. Two features that are not of length 1, with T = 1, "
      "show "
      "what that does:");
  say("");
  say("                     similarities      minus the row's maximum   exp() of the other, in float");
  for (std::size_t i = 0; i < 2; ++i) {
    const double maximum = std::max(products(i, 0), products(i, 1));
    const double other = products(i, 1 - i) - maximum;
    const float exponential = std::exp(static_cast<float>(other));
    say(fmt::format("{} {:>12.4f} {:>10.4f} {:>14.4f} {:>10.4f} {:>20.3g}", row_name(i), products(i, 0),
                    products(i, 1), products(i, 0) - maximum, products(i, 1) - maximum, exponential));
  }
  explain(fmt::format(
      "The sum without the anchor is 0 in the first row, and its logarithm minus infinity. Leaving the anchor "
      "out "
      "first, supcon() gives {:.4f} and {:.4f}: the only other row is the positive, with probability 1.",
      std::abs(losses[0]), std::abs(losses[1])));
}

// The batch's loss with either of the two common mistakes.
void print_common_errors(const Steps& steps) {
  const std::size_t count = steps.groups.size();
  std::vector<double> other_classes(count), all_rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    double negatives = 0, sum_over_positives = 0;
    for (std::size_t j = 0; j < count; ++j) {
      if (steps.groups[i] != steps.groups[j]) negatives += std::exp(steps.logits(i, j));
      if (steps.positive(i, j)) sum_over_positives += steps.logits(i, j);
    }
    const auto positives = static_cast<double>(steps.positives(i));
    if (positives > 0) other_classes[i] = std::log(negatives) - sum_over_positives / positives;
    all_rows[i] = steps.losses[i] * positives / static_cast<double>(count - 1);
  }
  say("\nTwo common errors, and their effect on this batch");
  const bool single_class = std::equal(steps.groups.begin() + 1, steps.groups.end(), steps.groups.begin());
  explain(
      "a. The denominator runs over everything but the anchor, positives included; not over the other classes "
      "only. " +
      (single_class ? std::string("Here there are no others: the logarithm of an empty sum.")
                    : fmt::format("With that error this batch has {:.6f} instead of {:.6f}. (Values below zero "
                                  "reveal the error: a mean of -log(probability) is never negative.)",
                                  mean(other_classes), mean(steps.losses))));
  explain(fmt::format(
      "b. Each anchor's sum is divided by its own number of positives, |P(i)|; not by 2N-1, the number of "
      "all the other rows, here {}. With that error this batch has {:.6f}, and anchors of small classes "
      "hardly count.",
      count - 1, mean(all_rows)));
}

int explain_batch(const Arguments& arguments) {
  const auto images = static_cast<std::int64_t>(arguments.labels.size());
  std::vector<std::int32_t> groups(arguments.labels.begin(), arguments.labels.end());
  if (arguments.self_supervised)
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<std::int32_t>(i);
  const Tensor group_tensor = Tensor::from(groups, {images}, Device::reference);
  const Tensor rows = arguments.self_supervised ? simclr_labels(group_tensor, arguments.views)  // [M]
                                                : repeat_labels(group_tensor, arguments.views);
  const Tensor features = l2_normalize(draw_features(arguments.labels, arguments.views));  // [M, explained_dim]
  const Steps steps = compute_steps(features, rows);
  SupConStatistics statistics;
  const Tensor loss =
      supcon(features, rows, {.temperature = temperature, .check_unit_length = true}, &statistics);

  say(fmt::format(
      "The supervised contrastive loss (L_out of Khosla et al. 2020) of {} images in {} views: {} rows.",
      images, arguments.views, images * arguments.views));
  print_batch(arguments, features);
  print_similarities(steps);
  print_mask(arguments, steps);
  print_probabilities(steps);
  print_losses(steps, statistics, loss.to_vector<double>()[0]);
  print_maximum_with_self();
  print_common_errors(steps);
  return static_cast<int>(ExitCode::ok);
}

int body(int argc, char** argv) {
  Arguments arguments;
  CommandLine line("Explains the supervised contrastive loss on a small batch, matrix by matrix.",
                   "explain_loss");
  line.add("--labels", arguments.labels, "The labels of two images or more")
      .separated_by(',')
      .shows_default("3 0 2 3")
      .within(not_negative_numbers);
  line.add("--views", arguments.views, "Views of each image: 2 or 3").shows_default();
  line.add_switch("--self-supervised", arguments.self_supervised,
                  "Only views of one image are positives (SimCLR)");
  if (const auto code = line.parse(argc, argv)) return *code;
  check_arguments(arguments);
  return explain_batch(arguments);
}

const Program explain_loss_program("explain_loss", "explains the loss of a small batch, matrix by matrix",
                                   body);

}  // namespace
}  // namespace kindred
