module ApplicationHelper
  def long_date(day)
    l(day, format: "%A, %-d %B %Y")
  end

  def navigation_link(name, path)
    link_to name, path, "aria-current": ("page" if current_page?(path))
  end

  def day_class(day, month)
    class_names(other: !month.include?(day), today: day == Date.current, weekend: day.on_weekend?)
  end
end
