"""The workbench itself: data, runs, claims, reports. It knows no paper (see ``papers``)."""
