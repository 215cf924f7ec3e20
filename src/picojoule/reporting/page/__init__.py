"""The report: one HTML file that opens without a network.

reading    what the figures read: results, explanation, fills, comparison
explained  puts a saved explanation in the place of what is known without a search
figures/   one file a figure, found by itself
figure     what a figure is: finding, drawing, table
staircase  the ladder of a network made smaller, from step to step
compressions  networks made smaller: accuracy against energy
bars, plot the drawings: stacked bars; points over two axes
verdict    the top of the page, in words
markup     HTML in which nothing a user wrote can become a tag
document   all of it together, with assets/page.css and assets/page.js
"""

from picojoule.reporting.page.document import report

__all__ = ["report"]
