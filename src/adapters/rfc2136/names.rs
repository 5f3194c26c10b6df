//! Names and whose they are. Each change carries what was seen as prerequisites,
//! so the server itself refuses it when somebody was faster.

use std::net::IpAddr;

use async_trait::async_trait;
use hickory_proto::{
    op::{Message, OpCode, Query},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, TXT},
    },
};

use super::Rfc2136;
use crate::{
    api::{conditions::Reason, names::Fqdn},
    ports::{
        dns::{AddressRecord, AddressSet, Dns, Holder, NameRemoved, NameState, Owner},
        error::{Class, PortError},
    },
};

/// A name below the zone that nobody uses: deleting it changes nothing.
const PROOF_LABEL: &str = "_flywheel-proof";
/// How often a change is tried anew when the name changed in between.
const TRIES: usize = 3;
/// The types that are marked, each by a TXT record of its own.
const KINDS: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

#[async_trait]
impl Dns for Rfc2136 {
    async fn serial(&self) -> Result<u32, PortError> {
        let answers = self.query(&self.zone, RecordType::SOA).await?;
        let serial = answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) if record.name == self.zone => Some(soa.serial),
            _ => None,
        });
        serial.ok_or_else(|| self.not_served())
    }

    async fn prove_update(&self) -> Result<(), PortError> {
        let name = Name::from_ascii(PROOF_LABEL)
            .and_then(|label| label.append_domain(&self.zone))
            .map_err(|e| PortError::invalid("spec.dns.zone", e))?;
        let mut message = self.change();
        message.add_authority(whole(&name, RecordType::TXT, DNSClass::ANY));
        self.update(message).await.map(drop)
    }

    async fn look_up(&self, name: &Fqdn) -> Result<NameState, PortError> {
        let seen = self.see(name).await?;
        Ok(NameState { addresses: seen.addresses(), ttl: seen.ttl(), holder: seen.holder() })
    }

    async fn set_address(&self, record: &AddressRecord) -> Result<AddressSet, PortError> {
        if let Some(problem) = record.owner.problem() {
            return Err(PortError::invalid("owner", problem));
        }
        for _ in 0..TRIES {
            let seen = self.see(&record.name).await?;
            if let Some(holder) = seen.holder().filter(|holder| *holder != Holder::Marked(record.owner.clone())) {
                return Ok(AddressSet::OwnedBy(holder));
            }
            let kind = kind_of(record.address);
            if seen.is_exactly(kind, record) {
                return Ok(AddressSet::Unchanged);
            }
            let mut message = self.change();
            seen.require(&mut message);
            seen.remove(&mut message);
            let data = match record.address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            };
            message.add_authority(Record::from_rdata(seen.name.clone(), record.ttl, data));
            message.add_authority(Record::from_rdata(marker(&seen.name, kind)?, record.ttl, claim(&record.owner)));
            if self.update(message).await? {
                return Ok(AddressSet::Set);
            }
        }
        Err(self.overtaken(&record.name))
    }

    async fn remove(&self, name: &Fqdn, owner: &Owner) -> Result<NameRemoved, PortError> {
        for _ in 0..TRIES {
            let seen = self.see(name).await?;
            match seen.holder() {
                None => return Ok(NameRemoved::Absent),
                Some(holder) if holder != Holder::Marked(owner.clone()) => return Ok(NameRemoved::OwnedBy(holder)),
                Some(_) => {}
            }
            let mut message = self.change();
            seen.require(&mut message);
            seen.remove(&mut message);
            if self.update(message).await? {
                return Ok(NameRemoved::Removed);
            }
        }
        Err(self.overtaken(name))
    }
}

impl Rfc2136 {
    /// An update of the zone, with nothing in it.
    fn change(&self) -> Message {
        let mut zone = Query::new();
        zone.set_name(self.zone.clone()).set_query_class(DNSClass::IN).set_query_type(RecordType::SOA);
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_query(zone);
        message
    }

    /// What is at a name and at those of its marks, as the zone's server says.
    async fn see(&self, name: &Fqdn) -> Result<Seen, PortError> {
        let mut full = Name::from_ascii(name.as_str()).map_err(|e| PortError::invalid(name.as_str(), e))?;
        full.set_fqdn(true);
        if !self.zone.zone_of(&full) || full == self.zone {
            return Err(PortError::invalid(name.as_str(), format_args!("is not a name below the zone {}", self.zone)));
        }
        let mut seen = Seen { name: full.clone(), records: Vec::new(), marks: Vec::new() };
        for kind in KINDS {
            // A CNAME comes with the answer to either, and at a mark's name too.
            for record in self.query(&full, kind).await?.into_iter().filter(|record| record.name == full) {
                if !seen.records.contains(&record) {
                    seen.records.push(record);
                }
            }
            let mark = marker(&full, kind)?;
            let there = self.query(&mark, RecordType::TXT).await?.into_iter().filter(|record| record.name == mark);
            seen.marks.extend(there.map(|record| (kind, record)));
        }
        Ok(seen)
    }

    fn overtaken(&self, name: &Fqdn) -> PortError {
        PortError::new(
            Class::Conflict,
            Reason::Conflict,
            format!(
                "{name} at {} changed {TRIES} times while it was being set: see who else writes it (tried again by itself)",
                self.server
            ),
        )
    }
}

/// What was seen at a name.
struct Seen {
    name: Name,
    /// Its addresses, or its alias.
    records: Vec<Record>,
    /// What is at the names of its marks, for which type.
    marks: Vec<(RecordType, Record)>,
}

impl Seen {
    fn addresses(&self) -> Vec<IpAddr> {
        self.records.iter().filter_map(address).collect()
    }

    /// Of the addresses and their marks, where it is the same for all.
    fn ttl(&self) -> Option<u32> {
        let first = self.records.iter().find(|record| address(record).is_some())?.ttl;
        let all = self.records.iter().chain(self.marks.iter().map(|(_, record)| record));
        all.map(|record| record.ttl).all(|ttl| ttl == first).then_some(first)
    }

    fn of(&self, kind: RecordType) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.record_type() == kind)
    }

    fn marks_of(&self, kind: RecordType) -> impl Iterator<Item = &Record> {
        self.marks.iter().filter(move |(of, _)| *of == kind).map(|(_, record)| record)
    }

    /// Who holds the name. Of several the first that is not like the others is
    /// told, so that a name held by two is nobody's to change.
    fn holder(&self) -> Option<Holder> {
        let mut owners: Vec<Owner> = Vec::new();
        for (_, record) in &self.marks {
            match owner(record) {
                Some(owner) if owners.contains(&owner) => {}
                Some(owner) => owners.push(owner),
                // The mark's place is taken by something else.
                None => return Some(unmarked(record)),
            }
        }
        let bare = self.records.iter().find(|record| match record.record_type() {
            kind @ (RecordType::A | RecordType::AAAA) => self.marks_of(kind).next().is_none(),
            _ => true,
        });
        match (owners.as_slice(), bare) {
            (_, Some(record)) => Some(unmarked(record)),
            ([], None) => None,
            ([owner], None) => Some(Holder::Marked(owner.clone())),
            (several, None) => {
                let names: Vec<_> = several.iter().map(ToString::to_string).collect();
                Some(Holder::Unmarked(format!("marks of {}", names.join(" and of "))))
            }
        }
    }

    /// It is one address of this type and its mark, and nothing more.
    fn is_exactly(&self, kind: RecordType, wanted: &AddressRecord) -> bool {
        let [record] = self.records.as_slice() else { return false };
        let [(of, _)] = self.marks.as_slice() else { return false };
        address(record) == Some(wanted.address) && self.ttl() == Some(wanted.ttl) && *of == kind
    }

    /// Makes the change depend on everything being as it was seen.
    fn require(&self, message: &mut Message) {
        require_none(message, &self.name, RecordType::CNAME);
        for kind in KINDS {
            require(message, &self.name, kind, self.of(kind));
            if let Ok(mark) = marker(&self.name, kind) {
                require_none(message, &mark, RecordType::CNAME);
                require(message, &mark, RecordType::TXT, self.marks_of(kind));
            }
        }
    }

    /// Takes away all that is there. Only for a name that is free or the caller's.
    fn remove(&self, message: &mut Message) {
        for kind in KINDS.into_iter().filter(|kind| self.of(*kind).next().is_some()) {
            message.add_authority(whole(&self.name, kind, DNSClass::ANY));
        }
        for (_, record) in &self.marks {
            let mut one = Record::from_rdata(record.name.clone(), 0, record.data.clone());
            one.dns_class = DNSClass::NONE;
            message.add_authority(one);
        }
    }
}

/// Where external-dns keeps the mark of a name's records of one type.
fn marker(name: &Name, kind: RecordType) -> Result<Name, PortError> {
    let text = name.to_ascii();
    Name::from_ascii(format!("{}-{text}", kind.to_string().to_ascii_lowercase()))
        .map_err(|e| PortError::invalid(&text, format_args!("leaves no room for the name of its mark: {e}")))
}

fn kind_of(address: IpAddr) -> RecordType {
    if address.is_ipv4() { RecordType::A } else { RecordType::AAAA }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

fn claim(owner: &Owner) -> RData {
    RData::TXT(TXT::new(vec![owner.text()]))
}

fn owner(record: &Record) -> Option<Owner> {
    let RData::TXT(txt) = &record.data else { return None };
    Owner::from_text(&String::from_utf8_lossy(&txt.txt_data.concat()))
}

fn unmarked(record: &Record) -> Holder {
    Holder::Unmarked(format!("{} {} {}", record.name.to_ascii().trim_end_matches('.'), record.record_type(), record.data))
}

/// A whole set of records, without its data.
fn whole(name: &Name, kind: RecordType, class: DNSClass) -> Record {
    let mut record = Record::update0(name.clone(), 0, kind).into_record_of_rdata();
    record.dns_class = class;
    record
}

/// The set is these records and no others (RFC 2136 §2.4.2, §2.4.3).
fn require<'a>(message: &mut Message, name: &Name, kind: RecordType, seen: impl Iterator<Item = &'a Record>) {
    let mut any = false;
    for record in seen {
        any = true;
        message.add_answer(Record::from_rdata(name.clone(), 0, record.data.clone()));
    }
    if !any {
        require_none(message, name, kind);
    }
}

fn require_none(message: &mut Message, name: &Name, kind: RecordType) {
    message.add_answer(whole(name, kind, DNSClass::NONE));
}
