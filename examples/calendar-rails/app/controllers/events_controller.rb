class EventsController < ApplicationController
  before_action :set_event, only: %i[show edit update destroy]

  # The agenda: what is to come, or what is on one day.
  def index
    @day = params[:day]&.to_date
    events = @day ? Event.where(day: @day).in_order : Event.coming
    @days = events.with_attached_attachment.group_by(&:day)
  rescue Date::Error
    redirect_to events_path
  end

  def show
  end

  def new
    @event = Event.new(day: params[:day] || Date.current, starts_at: "09:00", ends_at: "10:00")
  end

  def edit
  end

  def create
    @event = Event.new(event_params.merge(author: current_name))
    if @event.save
      redirect_to @event, notice: "The event was added."
    else
      render :new, status: :unprocessable_entity
    end
  end

  def update
    if @event.update(event_params)
      redirect_to @event, notice: "The event was changed."
    else
      render :edit, status: :unprocessable_entity
    end
  end

  def destroy
    @event.destroy
    redirect_to root_path, notice: "The event was deleted."
  end

  private

  def set_event
    @event = Event.find(params[:id])
  end

  def event_params
    params.require(:event).permit(:title, :day, :starts_at, :ends_at, :notes, :attachment)
  end
end
