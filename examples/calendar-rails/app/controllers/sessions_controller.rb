# A name is all it takes.
class SessionsController < ApplicationController
  def new
  end

  def create
    name = params[:name].to_s.squish.first(60)
    return render :new, status: :unprocessable_entity if name.blank?

    reset_session
    session[:name] = name
    redirect_to root_path, notice: "Welcome, #{name}."
  end

  def destroy
    reset_session
    redirect_to root_path
  end
end
