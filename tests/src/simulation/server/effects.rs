//! The effects of a decision.

use super::*;

impl Server {
    pub(super) fn respond(&mut self, response: Response) {
        if let Response::Reply {
            request, answer, ..
        } = response
        {
            self.answers.push_back((request, answer));
        }
    }

    pub(super) fn carry_out(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            let subject = match effect {
                Effect::GroupHeadChanged(group) => Subject::Group(group),
                Effect::DeviceHeadChanged(device) => Subject::Device(device),
                Effect::PublishRelease(release) => Subject::Release(release),
                Effect::ReadStatus(device) => {
                    self.reads.extend(device_number(&device).map(Line::Status));
                    continue;
                }
                Effect::ReadReports(device) => {
                    let reports = [Line::Info, Line::Presence, Line::Status];
                    let number = device_number(&device).into_iter();
                    self.reads
                        .extend(number.flat_map(|n| reports.map(|report| report(n))));
                    continue;
                }
                Effect::GenerationsReserved(reserved) => {
                    self.difference.reserved(reserved);
                    continue;
                }
                Effect::Sweep(deployment) => {
                    self.sweeps.push_back(deployment);
                    continue;
                }
                Effect::FindLine(seek) => {
                    self.seeks.push_back(seek);
                    continue;
                }
                Effect::DeviceRevoked { .. }
                | Effect::ReleaseAdded { .. }
                | Effect::ReleaseRemoved { .. }
                | Effect::Event(_)
                | Effect::ViewChanged(_)
                | Effect::Rejected { .. }
                | Effect::OlderThanDevice { .. }
                | Effect::Duplicate => continue,
            };
            self.difference.mark(subject, Cause::Changed);
        }
    }
}
