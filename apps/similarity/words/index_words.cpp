// similar index, merge and check: making an index of images, putting its segments together, reading all of it.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/start_facts.h>  // defines: shell_path
#include <kindred/apps/console/progress.h>
#include <kindred/apps/similarity/all_parts.h>
#include <kindred/apps/similarity/embed_parts.h>
#include <kindred/apps/similarity/index_encoder.h>
#include <kindred/apps/similarity/index_folder.h>
#include <kindred/apps/similarity/known_images.h>
#include <kindred/apps/similarity/segment_writer.h>
#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/apps/similarity/words/words.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr NumberRange thumbnail_sides{"0 (no pictures) to 1024 pixels", 0, 1024};

struct IndexFlags {
  DataFlags data;
  EncoderFlags encoder;
  std::string out, factory;
  int kept_side = usual_thumbnail_side;
  bool add = false;
};

void add_index_flags(CommandLine& line, IndexFlags& f) {
  f.data.takes_unlabelled = true;
  f.data.add_to(line);
  f.encoder.add_to(line);
  line.add("--out", f.out, "the folder of the index, a new or an empty one; with --add one that holds an index")
      .required();
  f.data.add_split_to(line, "the images of a set to use (all that it has)");
  const Flag add = line.add_switch(
      "--add", f.add, "add the images to the index; --encoder may be left out, and is the index's own then");
  line.add("--factory", f.factory,
           "how rows are searched, by FAISS's name: Flat, IVF1024,Flat, HNSW32 ... (Flat up to a million "
           "images, "
           "then IVF)")
      .excludes(add);
  line.add("--thumbnail-side", f.kept_side, "longer side of the pictures that are kept for pages")
      .shows_default()
      .within(thumbnail_sides);
  line.add_quiet();
}

IndexFolder opened_folder(const IndexFlags& f) {
  return f.add ? IndexFolder::of(f.out) : IndexFolder::made(f.out);
}

std::vector<std::shared_ptr<const OpenSegment>> open_segments(const IndexFolder& folder,
                                                              const IndexContent& content) {
  std::vector<std::shared_ptr<const OpenSegment>> segments;
  for (const IndexSegment& segment : content.segments)
    segments.push_back(std::make_shared<const OpenSegment>(folder.path(), segment, content.dim));
  return segments;
}

// Arranges the rows as the factory says, or as is usual for so many.
void arrange_all(const IndexFolder& folder, const std::string& factory, IndexContent& content) {
  content.factory = factory.empty() ? usual_factory(content.rows()) : factory;
  content.arranged.reset();
  if (content.factory == flat_factory) return;
  content.arranged =
      arrange_rows(folder, content.factory, content.dim, open_segments(folder, content), folder.next_number());
}

// The index is there already, searched flat: what comes now may take hours, and FAISS may refuse the factory for so few images.
void arrange_or_stay_flat(IndexFolder& folder, const IndexFlags& flags, IndexContent& content) {
  try {
    IndexContent arranged = content;
    arrange_all(folder, flags.factory, arranged);
    if (!arranged.arranged) return;
    folder.commit(arranged);
    content = std::move(arranged);
  } catch (const Error& error) {
    if (error.code() == ExitCode::io) throw;
    fail(error.code(),
         "{}; {} is there and compares all of its {}, until `similar merge {} --factory ...` arranges them",
         error.what(), flags.out, counted(content.rows(), "image"), shell_path(flags.out));
  }
}

// Throws before the work begins if FAISS does not understand the factory.
void check_factory(const std::string& factory, std::int64_t dim) {
  if (!factory.empty() && factory != flat_factory) third_party::VectorIndex(dim, factory);
}

std::string how_it_is_searched(const IndexContent& content) {
  return content.arranged ? "searched by FAISS's " + content.factory : "every search compares all of them";
}

// How many of the images were taken, and what became of the others.
struct TakenImages {
  std::int64_t taken = 0;
  KnownImages known{};
  std::vector<BadImage> bad{};

  std::int64_t unreadable() const { return std::ssize(bad); }
  std::int64_t given() const { return taken + known.removed() + unreadable(); }
};

void check_some_are_taken(const IndexFlags& flags, const TakenImages& images) {
  if (images.taken > 0) return;
  const std::string bad = images.bad.empty() ? "" : "; " + left_out_line(images.bad.size(), images.bad[0]);
  check(images.known.removed() == 0, ExitCode::data,
        "{}: nothing to add: {} {} in {} already, with the same path and the same features{}; give a folder "
        "with new images",
        flags.data.path, counted(images.known.removed(), "image"), images.known.removed() == 1 ? "is" : "are",
        flags.out, bad);
  fail(ExitCode::data, "{}: not one image could be read{}", flags.data.path,
       images.bad.empty() ? "" : fmt::format(", for example {}: {}", images.bad[0].path, images.bad[0].reason));
}

void print_known(const KnownImages& known) {
  if (known.removed() > 0)
    fmt::print("{} {} in the index already and {} not taken again, for example {}\n",
               counted(known.removed(), "image"), known.removed() == 1 ? "is" : "are",
               known.removed() == 1 ? "is" : "are", one_line(known.example()));
  if (known.changed() > 0)
    fmt::print("note: {} {} the path of an image in the index and other features: the index has both now\n",
               counted(known.changed(), "image"), known.changed() == 1 ? "has" : "have");
}

void print_index(const std::string& out, const IndexContent& content, const TakenImages& images) {
  results_follow();
  if (content.segments.size() > 1)
    fmt::print("{}: {} more, {} in {} segments, {} values each; `{} merge {}` puts the segments together\n",
               one_line(out), counted(images.taken, "image"), counted(content.rows(), "image"),
               content.segments.size(), content.dim, command_of_this_program(), one_line(shell_path(out)));
  else
    fmt::print("{}: {} of {} values each; {}\n", one_line(out), counted(images.taken, "image"), content.dim,
               how_it_is_searched(content));
  print_known(images.known);
  if (!images.bad.empty()) fmt::print("{}\n", left_out_line(images.bad.size(), images.bad[0]));
  check(2 * images.unreadable() <= images.given(), ExitCode::data,
        "{} of {} could not be read, more than half; {} holds the others", images.unreadable(),
        counted(images.given(), "image"), out);
}

}  // namespace

int index_images(int argc, char** argv) {
  CommandLine line(
      "Makes an index of images, or adds images to one: their features, ready for search. DIR may also be a "
      "folder "
      "of images, "
      "a text file (.txt) with a path on each line, or an image.",
      "similar index");
  IndexFlags flags;
  add_index_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.data.check_values();
  flags.data.check_outside("--out", flags.out);
  std::optional<IndexContent> earlier;
  if (flags.add) {
    earlier = read_index(flags.out);
    check(earlier->segments.size() < most_segments, ExitCode::usage,
          "{}: the index has {} segments, and no more can be added; put them together by `similar merge {}`",
          flags.out, earlier->segments.size(), shell_path(flags.out));
    take_encoder_of_index(flags.out, *earlier, flags.encoder);
  }
  flags.encoder.check_values();
  watch_for_interrupts();
  flags.data.exif = earlier ? earlier->encoder.info.exif : flags.encoder.encoder_info().exif;
  const std::vector<Dataset> parts = open_all_parts(flags.data);
  const auto frozen =
      earlier ? load_encoder_of_index(flags.out, *earlier, flags.encoder) : flags.encoder.load();
  const std::int64_t dim = frozen->encoder->feature_dim;
  check_factory(flags.factory, dim);

  IndexFolder folder = opened_folder(flags);
  IndexContent content = folder.content();
  if (!flags.add) {
    content.is_complete = true;
    content.dim = dim;
    content.encoder = indexed_encoder(flags.encoder, *frozen);
  } else {
    check(content.encoder.xxh3 == earlier->encoder.xxh3 && content.dim == dim, ExitCode::file,
          "{}: another program has replaced the index; give the same command again", flags.out);
    // Where it is now, with the same checksum.
    const IndexedEncoder found = indexed_encoder(flags.encoder, *frozen);
    content.encoder.path = found.path;
    content.encoder.is_foreign = found.is_foreign;
  }
  const std::string stopped =
      flags.out + (flags.add ? " is as it was" : " was not made") + "; the same command begins anew";
  TakenImages images;
  if (flags.add) images.known = KnownImages(open_segments(folder, content), stopped);
  SegmentWriter segment(flags.out, folder.next_number(), dim, flags.kept_side > 0);
  embed_parts(parts, *frozen, flags.kept_side, stopped, images.known, segment, images.bad);
  images.taken = segment.rows();
  check_some_are_taken(flags, images);
  check(content.rows() + images.taken <= most_indexed_rows, ExitCode::usage,
        "{}: an index has at most {} images; begin another one", flags.out, most_indexed_rows);
  content.segments.push_back(segment.commit());
  end_if_interrupted(stopped);
  if (!flags.add) {
    content.factory = flat_factory;
    content.arranged.reset();
  }
  folder.commit(content);
  if (!flags.add) arrange_or_stay_flat(folder, flags, content);
  print_index(flags.out, content, images);
  return 0;
}

int merge_index(int argc, char** argv) {
  CommandLine line(
      "Puts the segments of an index together, and arranges all of its rows anew. Others can search in it "
      "meanwhile.",
      "similar merge");
  std::string index, factory;
  line.add("INDEX", index, "a folder that `similar index` made").required();
  line.add("--factory", factory,
           "how rows are searched from now on, by FAISS's name (as they were; beyond a million images no more "
           "Flat)");
  line.add_quiet();
  if (const auto done = line.parse(argc, argv)) return *done;
  watch_for_interrupts();
  IndexFolder folder = IndexFolder::of(index);
  IndexContent content = folder.content();
  if (factory.empty() && content.factory != flat_factory) factory = content.factory;
  check_factory(factory, content.dim);
  const auto segments = open_segments(folder, content);
  const std::string stopped = index + " is as it was; the same command begins anew";
  bool has_pictures = false;
  for (const auto& segment : segments) {
    segment->check_all();  // what is damaged would get a new checksum, or be arranged
    has_pictures |= segment->has_pictures();
  }
  if (segments.size() > 1) {
    SegmentWriter whole(index, folder.next_number(), content.dim, has_pictures);
    for (const auto& segment : segments) {
      end_if_interrupted(stopped);
      whole.append(*segment);
    }
    content.segments = {whole.commit()};
  }
  arrange_all(folder, factory, content);
  end_if_interrupted(stopped);
  folder.commit(content);
  results_follow();
  fmt::print("{}: {} in one segment, which {} before; {}\n", one_line(index), counted(content.rows(), "image"),
             segments.size() == 1 ? "it was" : fmt::format("were {}", segments.size()),
             how_it_is_searched(content));
  return 0;
}

int check_index(int argc, char** argv) {
  CommandLine line("Reads all of an index, and compares it with its checksums.", "similar check");
  std::string index;
  line.add("INDEX", index, "a folder that `similar index` made").required();
  line.add_quiet();
  if (const auto done = line.parse(argc, argv)) return *done;
  const SimilarityIndex whole = SimilarityIndex::open(index);
  whole.check_all();
  results_follow();
  fmt::print("{}: {} in {}, all as they were written\n", one_line(index), counted(whole.rows(), "image"),
             counted(whole.segments().size(), "segment"));
  return 0;
}

}  // namespace kindred
