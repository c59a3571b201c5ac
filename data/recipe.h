// Augmentation recipes: what is random about a view, as values that print themselves (recipe_json.h reads and
// writes them as files).
//
//   none                 resize and centre crop; nothing is random
//   probe                random resized crop, horizontal flip
//   cifar                + colour jitter .4 .4 .4 .1 with probability .8, gray with .2; crop area (.2, 1)
//   simaugment           + colour jitter .8 .8 .8 .2 with probability .8, gray .2, Gaussian blur .5; area (.08,
//   1) autoaugment          probe's, then AutoAugment's policy for ImageNet autoaugment-cifar    probe's, then
//   its policy for CIFAR-10 and cutout of half the side randaugment          probe's, then two operations at
//   magnitude 9 of 30 stacked-randaugment  simaugment with RandAugment at full strength between jitter and gray
//
// Sources: Khosla et al. (arXiv 2004.11362); SimCLR (2002.05709, appendix A); AutoAugment (1805.09501);
// RandAugment (1909.13719); Tian et al. (2005.10243) for the stacked one.
#pragma once

#include <kindred/data/image_operation.h>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kindred {

// A part of the image, resized to the view.
struct RandomCrop {
  double min_area = 0.08, max_area = 1;             // share of the image's area: uniform
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;  // width / height: log-uniform
  bool operator==(const RandomCrop&) const = default;
};

// Four colour operations in random order. Factors are uniform in [max(0, 1 - x), 1 + x].
struct ColorJitter {
  double probability = 0.8;
  double brightness = 0, contrast = 0, saturation = 0;
  double hue = 0;  // shift uniform in [-x, x], in turns; at most .5
  bool operator==(const ColorJitter&) const = default;
};

struct RandomGray {
  double probability = 0.2;
  bool operator==(const RandomGray&) const = default;
};

// Gaussian, with a kernel of a tenth of the side.
struct RandomBlur {
  double probability = 0.5;
  double min_sigma = 0.1, max_sigma = 2;  // pixels: uniform
  bool operator==(const RandomBlur&) const = default;
};

// How operations on shapes look between pixels and beyond the edge. The gray is that of AutoAugment's authors;
// torchvision fills with 0.
struct WarpStyle {
  Interpolation interpolation = Interpolation::nearest;
  int fill = 128;  // 0 to 255
  bool operator==(const WarpStyle&) const = default;
};

enum class Policy : std::uint8_t { imagenet, cifar10 };

// One of the policy's 25 pairs of operations (policy.h).
struct AutoAugment {
  Policy policy = Policy::imagenet;
  WarpStyle style;
  bool operator==(const AutoAugment&) const = default;
};

// `number` operations, each drawn anew from the list, all at strength magnitude / (levels - 1).
struct RandAugment {
  int number = 2;
  int magnitude = 9, levels = 31;          // 0 <= magnitude < levels
  std::vector<ImageOperation> operations;  // those that policy.h gives a strength to; not empty
  WarpStyle style;
  bool operator==(const RandAugment&) const = default;
};

// A square of one gray, anywhere.
struct Cutout {
  double probability = 1;
  double side = 0.5;  // share of the view's side
  int fill = 128;
  bool operator==(const Cutout&) const = default;
};

// One operation, its value uniform in [low, high]: what image_operation.h says, but for translate, whose values
// are shares of the side. Not for cutout, which has a step of its own.
struct RandomOperation {
  ImageOperation operation = ImageOperation::identity;
  double probability = 1;
  double low = 0, high = 0;
  WarpStyle style;
  bool operator==(const RandomOperation&) const = default;
};

using Step =
    std::variant<ColorJitter, RandomGray, RandomBlur, AutoAugment, RandAugment, Cutout, RandomOperation>;

struct Recipe {
  std::string name = "none";
  std::optional<RandomCrop> crop;  // nothing: resize and centre crop
  double flip = 0;                 // probability of a mirrored view
  std::vector<Step> steps;         // in this order
  bool operator==(const Recipe&) const = default;
};

// Views of one kind.
struct ViewGroup {
  Recipe recipe;
  int size = 224;  // side of a view
  int count = 1;   // views of each image
  bool operator==(const ViewGroup&) const = default;
};

// Pixels of all views of an image.
std::size_t pixels_of(const std::vector<ViewGroup>& groups);

// Views of one size that follow each other: what an encoder takes in one piece.
struct ViewSize {
  int size = 0;
  int count = 0;
};
std::vector<ViewSize> view_sizes(const std::vector<ViewGroup>& groups);

// The recipe of this name for images of `size` x `size`. The size matters to those that crop as `probe` does:
// up to 64 pixels their crops cover at least .2 of the area, as the CIFAR recipe's, beyond that .08.
// Error(usage) lists the names.
Recipe recipe(std::string_view name, int size = 224);

// "cifar, simaugment, ...".
std::string recipe_names();

// The operations that RandAugment draws from: torchvision's list, and the authors' with cutout and
// solarize_add.
std::vector<ImageOperation> randaugment_operations();
std::vector<ImageOperation> all_randaugment_operations();

// One line that says everything, for logs and pictures: "crop area 0.2-1, flip 0.5, ...".
std::string describe(const Recipe& recipe);
std::string describe(const Step& step);

}  // namespace kindred
