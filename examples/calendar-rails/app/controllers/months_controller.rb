class MonthsController < ApplicationController
  def show
    @month = params[:year] ? Month.new(params[:year], params[:month]) : Month.of(Date.current)
    @events = Event.where(day: @month.days).in_order.group_by(&:day)
  end
end
