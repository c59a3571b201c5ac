// A labelled set of images: which images there are, what they are called, and how to get the pixels of one.
//
// Layouts (docs/data.md describes each):
//   DIR/train/<class>/*, and DIR/val/<class>/* or DIR/test/<class>/*  (validation has priority if both exist; the
//     names of these folders may be others: folders/split_folders.h; one whose images have no labels is left out)
//   DIR/<class>/* alone: a part of it is held out for evaluation
//   ImageNet: the same with a flat DIR/val/*.JPEG, whose classes come from Kaggle's LOC_val_solution.csv, a
//     list of "image class" lines or the devkit; or Kaggle's folder that holds ILSVRC/Data/CLS-LOC; or
//     Tiny-ImageNet's DIR/val/images with DIR/val/val_annotations.txt
//   the tar shards of WebDataset: DIR/train/*.tar, or DIR/*train*.tar, or DIR/*.tar
//   the original binary files of CIFAR-10 or CIFAR-100: in DIR, DIR/cifar-10-batches-bin or
//     DIR/cifar-100-binary
//   a pack that pack_dataset made, or a folder of packs, DIR/*.kpack
//   any folder of images and a CSV file with their labels (DatasetOptions::list)
//   tar shards that are given one by one, wherever they lie (DatasetOptions::shards)
//
// Class folders: classes are sorted by the bytes of their names and files by the bytes of their paths, so the result
// does not depend on the file system. Images lie at any depth in a class folder. Symbolic links are followed, and
// each real folder is read once (folders/walk.h). Names that begin with a dot are skipped. The extension decides
// which files are candidates (.jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm, and .heic .heif .avif
// if this build reads them; in upper or lower case); the content decides the format. Candidates of a format that this
// build cannot read are rejected by name and not overlooked. All files of such formats are counted in a note. Classes
// of training and evaluation are matched by name: a class that evaluation lacks, or has in addition, is a note.
//
// Nothing is ever written. Errors are Error(data), one line that says what to do.
#pragma once

#include <kindred/data/images/decode.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kindred {

// The images of a set that are asked for. A set has at most three parts: for training, for validation and for tests.
enum class Split {
  train,
  evaluation,  // what a run is evaluated on: DatasetOptions::evaluate_on
  val,         // the images for validation, or those that are held out of train
  test
};

// The bytes of a sample as they are in its file.
struct Encoded {
  std::span<const std::uint8_t> bytes;
  std::string reason;  // empty if the bytes are there; otherwise why not, in words

  bool ok() const { return reason.empty(); }
};

// Where the bytes of the samples come from. Thread-safe. A source overrides `encoded`, or `load` if it holds
// pixels.
class SampleSource {
 public:
  explicit SampleSource(const DecodeLimits& limits = {}) : limits_(limits) {}
  virtual ~SampleSource() = default;
  virtual std::string name(std::int64_t i) const = 0;  // a path, or "data_batch_1.bin, record 17"
  // What the sample is called within its set, wherever the set lies. By default its name without folders.
  virtual std::string id(std::int64_t i) const;
  const DecodeLimits& limits() const { return limits_; }

  // The encoded picture, for callers that decode only a part of it. The span points into `scratch`, which is
  // overwritten and keeps its memory, or into memory that the source owns (a mapped file). It is valid as long
  // as both exist. Returns nullopt if the source holds the pixels of this sample; then use load.
  virtual std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const;

  // How many bytes the picture has as it is stored, without reading them; 0 if it cannot be read. Returns nullopt if the
  // source does not know.
  virtual std::optional<std::uint64_t> stored_bytes(std::int64_t i) const;

  // Stores the whole picture in `out`, whose memory is reused. The default implementation decodes the result of
  // `encoded`.
  virtual void load(std::int64_t i, Decoded& out) const;

 private:
  DecodeLimits limits_;
};

// Which of the training images of a set are for evaluation: DatasetOptions::val_fraction and val_seed.
struct HeldOutShare {
  double fraction = 0;
  std::uint64_t seed = 0;
  // What had been held out before, one after the other: the training images of a pack may be a part themselves.
  std::vector<std::pair<double, std::uint64_t>> before{};
  bool operator==(const HeldOutShare&) const = default;
};

inline constexpr std::string_view list_gives_labels = "a list can give their labels";

// Where the images of a set are from, for figures that say what they are of.
struct Origin {
  std::string folder;  // DIR/val; or what was given to open_dataset if its images lie in no folder of their own
  std::string part;    // "train", "val", "test"; "held out" of train; or "all", if the folder has no parts;
                       // or "unlabelled", if the one class that the set has means nothing
  // What was held out of the training images, of both halves; also if that was done when a pack was made. Empty:
  // nothing, or it is not known.
  std::optional<HeldOutShare> held_out{};
  // How many images of each class there were before the last step of `held_out`, [classes]. Empty: it is not known.
  std::vector<std::int64_t> divided{};
  // The set has no images for evaluation, and holds none out: class folders alone with a fraction of 0, and packs of them.
  bool is_undivided = false;

  bool has_classes() const { return part != "unlabelled"; }
};

// A value type: copies share the source. It never changes once it is open, so it is thread-safe.
class Dataset {
 public:
  // labels: one per sample, in [0, class_names.size()).
  Dataset(std::vector<std::string> class_names, std::vector<std::int32_t> labels,
          std::shared_ptr<const SampleSource> source, bool in_memory);

  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }
  int classes() const { return static_cast<int>(class_names_.size()); }
  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::vector<std::int32_t>& labels() const { return labels_; }
  std::int32_t label(std::int64_t i) const { return labels_[static_cast<std::size_t>(i)]; }
  std::string name(std::int64_t i) const { return source_->name(i); }
  Decoded load(std::int64_t i) const {
    Decoded decoded;
    source_->load(i, decoded);
    return decoded;
  }
  const SampleSource& source() const { return *source_; }
  // True if the pixels are in memory already, so that caching decoded copies gains nothing.
  bool in_memory() const { return in_memory_; }

  // What the owner of the set should know about how it was read: lines that begin with "note: " or "warning: ".
  // Both splits of a set have the notes that concern both. One that ends in `list_gives_labels` is about images that
  // DatasetOptions::list could label.
  const std::vector<std::string>& notes() const { return notes_; }
  void add_note(std::string note) { notes_.push_back(std::move(note)); }  // for those who open or select

  const Origin& origin() const { return origin_; }
  void set_origin(Origin origin) { origin_ = std::move(origin); }  // for those who open or select

 private:
  std::vector<std::string> class_names_;
  std::vector<std::int32_t> labels_;  // [samples]
  std::shared_ptr<const SampleSource> source_;
  bool in_memory_;
  std::vector<std::string> notes_;
  Origin origin_;
};

struct GivenShards;  // shards/fetch_shards.h

struct DatasetOptions {
  // Keeps only the first images of each class, in the order of the set (by name). 0 keeps all.
  std::int64_t limit_per_class = 0;
  // In (0, 1): evaluates on this fraction of the training images, drawn class by class (subset.h), and trains
  // on the rest. Images for validation, and unless `evaluate_on` is test also those for tests, are then ignored. 0:
  // nothing is held out. Empty: as default_val_fraction() says.
  std::optional<double> val_fraction{};
  std::uint64_t val_seed = 0;  // selects the held-out images; not the run's seed, so that all stages agree
  // What Split::evaluation is: val or test; or `evaluation`, which is val if there is one, else test.
  Split evaluate_on = Split::evaluation;
  // A CSV file that says which images below `path` there are, and their labels; empty: the layout says it. Without a
  // column for the split it is held out as from class folders alone (lists/open_list.h).
  std::string list{};
  // Tar shards that were fetched (shards/fetch_shards.h); null: the layout says what there is. `path` is then only what the
  // set is called in messages. Without shards for evaluation it is held out as from class folders alone.
  std::shared_ptr<const GivenShards> shards{};
  DecodeLimits limits{};
};

// Opens a split of the data set at `path`. Returns nullopt if another split than `train` is requested and there is
// none. Throws Error(usage) for options out of range, and Error(data) for everything else that is wrong. Files are
// listed here, and opened when an image is loaded.
std::optional<Dataset> open_dataset(const std::string& path, Split split, const DatasetOptions& options = {});

// The part of the images that is held out if the options do not say it: 0.1 for class folders alone, for a set whose
// folders for evaluation hold no images, images without labels (folder_without_labels) or, for tests, images of other classes
// only, and for a list (DatasetOptions) without a column for the split (not if each class has a single image: then nothing is), and 0 for every other layout, and if there is no set
// at `path`. Throws Error(data) if the list cannot be read.
double default_val_fraction(const std::string& path, const std::string& list = {});
// The same of shards that are given one by one.
double default_val_fraction_of_shards(bool with_evaluation);

// What a set that has no images to evaluate on would have them by, as advice: "give it DIR/val/<class>/*", or the file or the
// shards that this layout has them in.
std::string place_of_evaluation(const std::string& path, const std::string& list = {});

// The folder of a set's images of `part`, if nothing says their classes: they lie in no class folders, and there is no file
// with labels. For Split::evaluation only if no other folder has images to evaluate on. Such images are left out with a
// note; with Split::val and Split::test open_dataset throws Error(data, Cause::needs_labels). Otherwise empty. `part` is not
// train. Throws Error(data).
std::string folder_without_labels(const std::string& path, Split part);

// Opens every file below a folder, at any depth, whose name has the ending of an image format, whether Kindred reads
// it or not; the class of a file is the name of its folder. This serves to inspect sets that open_dataset refuses.
// Links are followed, and each real folder is read once. Throws Error(data) if there are no such files.
Dataset open_loose_images(const std::string& dir, const DecodeLimits& limits = {});

// The images of a folder that says itself what classes they are of, but not which of them are for training: all images
// of DIR/<class>/*, also if there is only one class, or if `dir` is a folder for training or evaluation of a set.
// Returns nullopt for everything else. Throws Error(data).
std::optional<Dataset> open_class_images(const std::string& dir, const DecodeLimits& limits = {});

// The images of a folder without classes: all that this build reads, at any depth, with one label. Returns nullopt if
// there are none, if several folders in `dir` hold images, because they may be classes, and if a folder in `dir` is a set
// or for training or evaluation of one. Throws Error(data).
std::optional<Dataset> open_unlabelled_images(const std::string& dir, const DecodeLimits& limits = {});

// True for everything that open_dataset opens, but class folders alone.
bool is_set_with_parts(const std::string& path);

// These files, with one label. They are opened when an image is loaded.
Dataset open_image_files(const std::vector<std::string>& paths, const DecodeLimits& limits = {});

// The paths of the images at any depth below a folder, sorted by the bytes of their folders and names. `all_formats`:
// also those of formats that this build cannot read. Throws Error(data).
std::vector<std::string> image_files_below(const std::string& dir, bool all_formats);

// The paths in a text file, one a line, relative to its folder; lines without text are skipped. Throws Error(data) for
// a line that is not the path of a file, and if there is none.
std::vector<std::string> read_image_list(const std::string& file);

}  // namespace kindred
