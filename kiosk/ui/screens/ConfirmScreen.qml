// Before it happens: what, for whom, what it costs.
import QtQuick

SummaryPage {
}
