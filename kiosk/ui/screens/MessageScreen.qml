// What happened, what still works, the next step, a person.
import QtQuick

SummaryPage {
}
