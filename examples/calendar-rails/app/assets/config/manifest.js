//= link application.css
//= link application.js
//= link_tree ../images
