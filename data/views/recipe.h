// Augmentation recipes: what is random about a view, as values that can be printed (recipe_json.h reads and
// writes them as files).
//
//   none                 resize and centre crop; nothing is random
//   probe                random resized crop, horizontal flip
//   cifar                probe, colour jitter .4 .4 .4 .1 with probability .8, gray with .2; crop area (.2, 1)
//   simaugment           probe, colour jitter .8 .8 .8 .2 with probability .8, gray .2, Gaussian blur .5; crop
//                        area (.08, 1)
//   autoaugment          probe, then AutoAugment's policy for ImageNet
//   autoaugment-cifar    probe, then its policy for CIFAR-10 and cutout of half the side
//   randaugment          probe, then two operations at magnitude 9 of 30
//   stacked-randaugment  simaugment with RandAugment at full strength between jitter and gray
//
// Sources: Khosla et al. (arXiv 2004.11362); SimCLR (2002.05709, appendix A); AutoAugment (1805.09501);
// RandAugment (1909.13719); Tian et al. (2005.10243) for the stacked one.
#pragma once

#include <kindred/data/views/image_operation.h>
#include <kindred/engine/names.h>
#include <kindred/layers/image_input/preparation.h>

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kindred {

// A part of the image, resized to the view.
struct RandomCrop {
  double min_area = 0.08, max_area = 1;             // fraction of the image's area: uniform
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

// Gaussian blur, with a kernel of a tenth of the side.
struct RandomBlur {
  double probability = 0.5;
  double min_sigma = 0.1, max_sigma = 2;  // pixels: uniform
  bool operator==(const RandomBlur&) const = default;
};

// How shape operations interpolate between pixels and fill beyond the edge. The gray is the value of
// AutoAugment's authors; torchvision fills with 0.
struct WarpStyle {
  Interpolation interpolation = Interpolation::nearest;
  int fill = 128;  // 0 to 255
  bool operator==(const WarpStyle&) const = default;
};

enum class Policy : std::uint8_t { imagenet, cifar10 };

inline constexpr Named<Policy> policy_names[] = {{Policy::imagenet, "imagenet"}, {Policy::cifar10, "cifar10"}};

// One of the policy's 25 pairs of operations (policy.h).
struct AutoAugment {
  Policy policy = Policy::imagenet;
  WarpStyle style;
  bool operator==(const AutoAugment&) const = default;
};

// `number` operations, each drawn independently from the list, all at strength magnitude / (levels - 1).
struct RandAugment {
  int number = 2;
  int magnitude = 9, levels = 31;          // 0 <= magnitude < levels
  std::vector<ImageOperation> operations;  // those with a strength in policy.h; not empty
  WarpStyle style;
  bool operator==(const RandAugment&) const = default;
};

// A square of a single gray at a random place.
struct Cutout {
  double probability = 1;
  double side = 0.5;  // fraction of the view's side
  int fill = 128;
  bool operator==(const Cutout&) const = default;
};

// One operation with a value that is uniform in [low, high]. Values have the meaning given in
// image_operation.h, except for translate, whose values are fractions of the side. Not for cutout, which has
// its own step.
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
  std::optional<RandomCrop> crop;  // empty: the whole image, as `resize` says
  double flip = 0;                 // probability of a mirrored view
  std::vector<Step> steps;         // in this order
  ResizeMode resize =
      ResizeMode::crop;  // of the whole image, where there is no random crop; not in recipe files
  bool operator==(const Recipe&) const = default;
};

// Views of one kind.
struct ViewGroup {
  Recipe recipe;
  int size = 224;  // side of a view, in pixels
  int count = 1;   // views per image
  bool operator==(const ViewGroup&) const = default;
};

// The number of pixels of all views of an image.
std::size_t pixels_of(const std::vector<ViewGroup>& groups);

// Consecutive views of one size, which an encoder processes as one batch.
struct ViewSize {
  int size = 0;
  int count = 0;
};
std::vector<ViewSize> view_sizes(const std::vector<ViewGroup>& groups);

// The recipe of this name for images of `size` x `size`. The size matters for recipes with the random crop of
// `probe`: up to 64 pixels the crops cover at least .2 of the area, as in the CIFAR recipe; beyond that at
// least .08. Throws Error(usage), which lists the names.
Recipe recipe(std::string_view name, int size = 224);

// "cifar, simaugment, ...".
std::string recipe_names();

// The operations that RandAugment draws from: torchvision's list, plus cutout and solarize_add from the
// authors' list.
std::vector<ImageOperation> randaugment_operations();
std::vector<ImageOperation> all_randaugment_operations();

// One line that describes the recipe completely, for logs and pictures: "crop area 0.2-1, flip 0.5, ...".
std::string describe(const Recipe& recipe);
std::string describe(const Step& step);

}  // namespace kindred
