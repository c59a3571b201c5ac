#include <kindred/data/loading/drawn_views.h>
#include <kindred/data/views/view_stream.h>

namespace kindred {

std::vector<ViewKind> view_kinds(const std::vector<ViewGroup>& groups) {
  std::vector<ViewKind> kinds;
  std::size_t before = 0;
  for (const ViewGroup& group : groups)
    for (int i = 0; i < group.count; ++i) {
      const std::size_t bytes = std::size_t(group.size) * std::size_t(group.size) * 3;
      kinds.push_back({&group.recipe, group.size, bytes, before});
      before += bytes;
    }
  return kinds;
}

Region DrawnViews::of(int height, int width) {
  views.resize(kinds->size());
  Region needed;
  for (std::size_t view = 0; view < views.size(); ++view) {
    const ViewKind& kind = (*kinds)[view];
    RandomStream random = view_stream(seed, epoch, sample, repeat, kinds->size(), view);
    views[view] = draw_view(height, width, *kind.recipe, kind.size, random);
    const Region of_view = needed_region(views[view], kind.size);
    needed = view == 0 ? of_view : bounding(needed, of_view);
  }
  return needed;
}

}  // namespace kindred
