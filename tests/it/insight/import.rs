//! Imports from CSV files: what goes in, what is left out, and what a crash leaves behind.

use std::{fmt::Write as _, fs, path::PathBuf};

use entity::tenant::{
    contact, customer, opportunity, opportunity_line, pipeline_stage, product,
    user::{self, UserStatus},
};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use proptest::{prelude::*, test_runner::TestRunner};
use rapport::{
    data::TenantDb,
    error::{Error, Result},
    services::insight::exchange::{self, Mapping, Report, Request},
};
use sea_orm::ColumnTrait;

use crate::{
    on_both_engines,
    support::{Engine, Session, TestApp, TestTenant},
};

/// A tenant, its files, and who imports.
struct Desk<'a> {
    app: &'a TestApp,
    tenant: TestTenant,
    db: TenantDb,
    folder: tempfile::TempDir,
}

impl<'a> Desk<'a> {
    async fn new(app: &'a TestApp) -> Self {
        let tenant = app.tenant("acme").await;
        let db = app.system(tenant.id).await;
        Self { app, tenant, db, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn request(&self, record: &str, file: &str, content: impl AsRef<[u8]>, mapping: &str) -> Request {
        Request {
            record: record.to_owned(),
            file: self.file(file, content),
            errors: self.folder.path().join("errors.csv"),
            mapping: mapping_of(mapping),
            currency: Some("USD".to_owned()),
            rehearsal: false,
            restart: false,
        }
    }

    async fn run(&self, request: &Request) -> Result<Report> {
        exchange::import(self.app.app.identity(), &self.db, request, |_| {}).await
    }

    async fn import(&self, record: &str, content: impl AsRef<[u8]>, mapping: &str) -> Report {
        self.run(&self.request(record, "rows.csv", content, mapping)).await.unwrap()
    }

    /// What the file of refused rows says, a row each: line, column, field, value, code.
    fn refusals(&self) -> Vec<String> {
        let Ok(mut reader) = csv::Reader::from_path(self.folder.path().join("errors.csv")) else { return Vec::new() };
        assert_eq!(reader.headers().unwrap(), vec!["line", "column", "field", "value", "code", "reason"]);
        reader
            .records()
            .map(|row| {
                let row = row.unwrap();
                assert!(!row[5].is_empty());
                row.iter().take(5).collect::<Vec<_>>().join(" | ")
            })
            .collect()
    }

    async fn customers(&self) -> Vec<customer::Model> {
        let mut all = self.db.find::<customer::Entity>().unwrap().all().await.unwrap();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

fn mapping_of(text: &str) -> Mapping {
    Figment::from(Toml::string(text)).extract().unwrap()
}

/// A committed example, with an owner where the records need one.
fn example(name: &str) -> String {
    let text = fs::read_to_string(format!("{}/docs/import/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    if name == "accounts" { format!("{text}\nowner.email = \"admin@acme.example\"\n") } else { text }
}

fn counts(report: &Report) -> [u64; 5] {
    [report.rows, report.created, report.updated, report.unchanged, report.refused]
}

/// Files of the shape of a sales data set, made by counting.
struct DataSet {
    products: String,
    teams: String,
    accounts: String,
    pipeline: String,
}

const DEALS: usize = 1_200;

fn data_set() -> DataSet {
    let mut products = "product,series,sales_price\n".to_owned();
    for (name, series, price) in [("Lathe One", "L", "550"), ("Lathe Pro", "L", "4821.50"), ("Mill 5", "M", "55")] {
        writeln!(products, "{name},{series},{price}").unwrap();
    }
    let mut teams = "sales_agent,manager,regional_office\n".to_owned();
    for agent in 0..10 {
        // A team has one manager and one office.
        let team = agent % 3;
        writeln!(teams, "Agent {},Boss {},{}", word(agent), word(team), ["East", "West", "South"][team]).unwrap();
    }
    let mut accounts = "account,sector,year_established,revenue,employees,office_location,subsidiary_of\n".to_owned();
    for account in 0..20 {
        // The first ones belong to the last, which stands furthest down.
        let parent = if account < 4 { word(19) } else { String::new() };
        let sector = ["retail", "technolgy", "medical"][account % 3];
        writeln!(
            accounts,
            "{},{sector},19{:02},{}.25,{account},Kenya,{parent}",
            word(account),
            account + 50,
            account + 1
        )
        .unwrap();
    }
    let mut pipeline =
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n".to_owned();
    for deal in 0..DEALS {
        let product = ["Lathe One", "Lathe Pro", "Mill 5"][deal % 3];
        let account = if deal % 6 == 0 { String::new() } else { word(deal % 20) };
        let (stage, engaged, closed, value) = match deal % 4 {
            0 => ("Won", "20-10-2016", "01-03-2017", "1054"),
            1 => ("Lost", "25-10-2016", "11-03-2017", "0"),
            2 => ("Engaging", "31-12-2016", "", ""),
            _ => ("Prospecting", "", "", ""),
        };
        let agent = word(deal % 10);
        writeln!(pipeline, "D{deal:05},Agent {agent},{product},{account},{stage},{engaged},{closed},{value}").unwrap();
    }
    DataSet { products, teams, accounts, pipeline }
}

/// A different name for each number.
fn word(number: usize) -> String {
    let letters = "BCDFGHKLMNPRSTVWXZQJ".chars().nth(number % 20).unwrap();
    format!("{letters}{}", ["orvan", "elit", "aduna"][number % 3])
}

/// Brings in all that deals refer to.
async fn prepare(desk: &Desk<'_>, data: &DataSet) {
    assert_eq!(counts(&desk.import("products", &data.products, &example("products")).await), [3, 3, 0, 0, 0]);
    // Ten rows name three managers: each is made once and found again after that.
    assert_eq!(counts(&desk.import("users", &data.teams, &example("managers")).await), [10, 3, 0, 7, 0]);
    assert_eq!(counts(&desk.import("users", &data.teams, &example("agents")).await), [10, 10, 0, 0, 0]);
    let accounts = desk.import("customers", &data.accounts, &example("accounts")).await;
    assert_eq!(counts(&accounts), [20, 20, 0, 0, 0]);
    // What is odd is said, and kept as it is.
    let remarks: Vec<_> = accounts.remarks.iter().filter(|remark| !remark.starts_with("account ")).collect();
    assert_eq!(
        remarks,
        [
            "4 rows refer to a row further down",
            "sector \"technolgy\" (7 rows) looks like \"Technology\"",
            "subsidiary_of is empty in 16 rows",
        ]
    );
}

on_both_engines! {
    /// The committed examples import a data set of their shape, and importing it again changes nothing.
    async fn a_sales_data_set_goes_in(app: TestApp) {
        let (desk, data) = (Desk::new(&app).await, data_set());
        prepare(&desk, &data).await;
        let report = desk.import("opportunities", &data.pipeline, &example("opportunities")).await;
        assert_eq!(counts(&report), [1_200, 1_200, 0, 0, 0]);
        assert!(report.remarks.contains(&"account is empty in 200 rows".to_owned()), "{:?}", report.remarks);
        assert_eq!(desk.refusals(), Vec::<String>::new());

        let customers = desk.customers().await;
        let last = customers.iter().find(|customer| customer.name == word(19)).unwrap();
        let first = customers.iter().find(|customer| customer.name == word(0)).unwrap();
        assert_eq!((first.parent_id, first.annual_revenue, first.founded_year), (Some(last.id), Some(125_000_000), Some(1950)));
        assert_eq!(customers.iter().filter(|customer| customer.parent_id.is_some()).count(), 4);
        assert_eq!(first.industry.as_deref(), Some("retail"));

        let users = desk.db.find::<user::Entity>().unwrap().all().await.unwrap();
        let named = |name: &str| users.iter().find(|user| user.name == name).unwrap();
        let agent = named(&format!("Agent {}", word(4)));
        assert_eq!(agent.manager_id, Some(named(&format!("Boss {}", word(1))).id));
        assert_eq!((agent.status, agent.role_name.as_deref()), (UserStatus::Invited, Some("Agent")));
        assert_eq!(agent.email, format!("agent.{}@example.com", word(4).to_lowercase()));

        let stages = desk.db.find::<pipeline_stage::Entity>().unwrap().all().await.unwrap();
        let deals = desk.db.find::<opportunity::Entity>().unwrap().all().await.unwrap();
        let of_stage = |name: &str| {
            let stage = stages.iter().find(|stage| stage.name == name).unwrap().id;
            let values: Vec<_> = deals.iter().filter(|deal| deal.stage_id == stage).map(|deal| deal.value.unwrap()).collect();
            (values.len(), values.iter().sum::<i64>())
        };
        assert_eq!(of_stage("Won"), (300, 300 * 105_400));
        assert_eq!(of_stage("Lost"), (300, 0));
        // What is open is worth its product's price.
        assert_eq!(of_stage("Engaging"), (300, 100 * (55_000 + 482_150 + 5_500)));
        assert_eq!(of_stage("Prospecting").0, 300);
        assert_eq!(deals.iter().filter(|deal| deal.customer_id.is_none()).count(), 200);
        let won = deals.iter().find(|deal| deal.external_reference.as_deref() == Some("D00004")).unwrap();
        assert_eq!(won.title, format!("Lathe Pro for {}", word(4)));
        assert_eq!(won.engaged_at.unwrap().to_rfc3339(), "2016-10-20T00:00:00+00:00");
        assert_eq!(won.closed_at.unwrap().to_rfc3339(), "2017-03-01T00:00:00+00:00");
        assert_eq!(won.owner_id, agent.id);
        let lines = desk.db.find::<opportunity_line::Entity>().unwrap();
        let lines = lines.filter(opportunity_line::Column::OpportunityId.eq(won.id)).all().await.unwrap();
        assert_eq!((lines.len(), lines[0].description.as_str(), lines[0].total), (1, "Lathe Pro", 105_400));

        let again = desk.import("opportunities", &data.pipeline, &example("opportunities")).await;
        assert_eq!(counts(&again), [1_200, 0, 0, 1_200, 0]);
        let again = desk.import("customers", &data.accounts, &example("accounts")).await;
        assert_eq!(counts(&again), [20, 0, 0, 20, 0]);
        for mapping in ["managers", "agents"] {
            let again = desk.import("users", &data.teams, &example(mapping)).await;
            assert_eq!(counts(&again), [10, 0, 0, 10, 0], "{mapping}");
        }
        let again = desk.import("products", &data.products, &example("products")).await;
        assert_eq!(counts(&again), [3, 0, 0, 3, 0]);

        // A manager who changes office is changed, once a row that says otherwise.
        let moved = data.teams.replacen("West", "North", 1);
        assert_eq!(counts(&desk.import("users", &moved, &example("managers")).await), [10, 0, 2, 8, 0]);

        // Each record has its audit entry and its event, in a chain and without gaps.
        let log = desk.tenant.admin.data(
            "{ auditLogs(first: 1, where: { recordType: { eq: \"opportunity\" }, action: { eq: \"created\" } }) \
             { totalCount } }",
            serde_json::json!({}),
        ).await;
        assert_eq!(log["auditLogs"]["totalCount"], 1_200);
    }

    /// A wrong row is left out, with line, column and reason; the right ones beside it go in.
    async fn wrong_rows_are_left_out_and_told(app: TestApp) {
        let (desk, data) = (Desk::new(&app).await, data_set());
        prepare(&desk, &data).await;
        let header = data.pipeline.lines().next().unwrap();
        let rows = format!(
            "{header}\n\
             W1,Agent Borvan,Lathe One,Borvan,Won,20-10-2016,01-03-2017,10\n\
             W2,Agent Nobody,LathePro,Nowhere,Won,20-10-2016,01-03-2017,10\n\
             W3,Agent Borvan,Lathe One,Borvan,Won,2016-10-20,01-03-2017,ten\n\
             ,,,,,,,\n\
             W4,Agent Borvan,Lathe One,Borvan,Dreaming,20-10-2016,,\n\
             ,Agent Borvan,Lathe One,Borvan,Won,20-10-2016,01-03-2017,10\n\
             W5,\"Agent\nBorvan\",Lathe One,Borvan,Won,20-10-2016,01-03-2017,-1\n\
             W6,Agent Borvan,Lathe One\n\
             W7,Agent Borvan,Lathe One,Borvan,Engaging,20-10-2016,01-03-2017,\n\
             W8,AGENT BORVAN,lathe  one,bOrvan,engaging,20-10-2016,,\n"
        );
        let report = desk.import("opportunities", &rows, &example("opportunities")).await;
        assert_eq!(counts(&report), [9, 2, 0, 0, 7]);
        assert!(report.remarks.contains(&"1 row left out because they are empty".to_owned()), "{:?}", report.remarks);
        assert_eq!(desk.refusals(), [
            "3 | account | customer.name | Nowhere | NOT_FOUND",
            "3 | product | line.product.name | LathePro | NOT_FOUND",
            "3 | sales_agent | owner.name | Agent Nobody | NOT_FOUND",
            "4 | engage_date | engaged_at | 2016-10-20 | INVALID",
            "6 | deal_stage | stage.name | Dreaming | NOT_FOUND",
            "7 | opportunity_id | external_reference |  | BLANK",
            "8 | close_value | line.unit_price | -1 | INVALID",
            "10 |  |  |  | INVALID",
            "11 | close_date | closed_at | 01-03-2017 | INVALID",
        ]);
        // The spelling that the example knows of.
        let fixed = example("opportunities").replace("GTXPro=GTX Pro", "LathePro=Lathe Pro");
        let rows = format!("{header}\nW9,Agent Borvan,LathePro,Borvan,Won,20-10-2016,01-03-2017,10\n");
        assert_eq!(counts(&desk.import("opportunities", &rows, &fixed).await), [1, 1, 0, 0, 0]);
        assert_eq!(desk.refusals(), Vec::<String>::new());
        // A lost deal needs its reason where nobody waives it.
        let strict = fixed.replace("waive = [\"lost_reason\"]", "");
        let rows = format!("{header}\nW10,Agent Borvan,Lathe One,Borvan,Lost,20-10-2016,01-03-2017,0\n");
        assert_eq!(counts(&desk.import("opportunities", &rows, &strict).await), [1, 0, 0, 0, 1]);
        assert_eq!(desk.refusals(), ["2 |  | lostReason |  | BLANK"]);
    }

    /// An import that is cut off goes on after the last batch that was committed, and nothing is told twice.
    async fn what_was_cut_off_goes_on(app: TestApp) {
        let (desk, data) = (Desk::new(&app).await, data_set());
        prepare(&desk, &data).await;
        // A row of each batch is wrong.
        let rows: String = data.pipeline.lines().enumerate()
            .map(|(line, row)| if line % 400 == 399 { row.replace("Agent", "Nobody") } else { row.to_owned() } + "\n")
            .collect();
        let request = desk.request("opportunities", "deals.csv", &rows, &example("opportunities"));
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::select! {
            biased;
            _ = heard.recv() => {}
            _ = exchange::import(app.app.identity(), &desk.db, &request, |at| told.send(at).unwrap()) => {
                panic!("the import must not end before it is cut off")
            }
        }
        let written = desk.db.find::<opportunity::Entity>().unwrap().count().await.unwrap();
        assert!((499..1_000).contains(&written), "{written}");
        let before = desk.refusals();
        // What a crash leaves in the file after the last commit.
        let errors = desk.folder.path().join("errors.csv");
        fs::write(&errors, fs::read_to_string(&errors).unwrap() + "999,x,x,x,X,written before a crash\n").unwrap();

        let report = desk.run(&request).await.unwrap();
        assert_eq!(report.resumed_after, Some(written + before.len() as u64));
        assert_eq!(counts(&report), [1_200, 1_197, 0, 0, 3]);
        let lines: Vec<_> = desk.refusals().iter().map(|row| row.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(lines, ["400", "800", "1200"]);
        let deals = desk.db.find::<opportunity::Entity>().unwrap().all().await.unwrap();
        assert_eq!(deals.len(), 1_197);
        assert!(deals.iter().all(|deal| deal.version == 1), "no row was written twice");

        // When it is done, nothing of it is left, and the same command is a new import.
        let report = desk.run(&request).await.unwrap();
        assert_eq!((report.resumed_after, counts(&report)), (None, [1_200, 0, 0, 1_197, 3]));
    }

    /// References to rows further down survive a crash between the passes, and those that lead nowhere are told.
    async fn hierarchies_may_stand_in_any_order(app: TestApp) {
        let desk = Desk::new(&app).await;
        let rows = "name,parent\nLeaf,Branch\nBranch,Root\nLost,Nobody\nRoot,\nOther,root\nSelf,Self\n";
        let mapping = "key = 'name'\n[map]\nparent.name = 'parent'\n[set]\nowner.email = 'admin@acme.example'";
        let mut request = desk.request("customers", "tree.csv", rows, mapping);
        request.rehearsal = true;
        let report = desk.run(&request).await.unwrap();
        assert_eq!((counts(&report), report.incomplete), ([6, 6, 0, 0, 0], 1));
        assert_eq!(desk.refusals(), ["4 | parent | parent.name | nobody | NOT_FOUND"]);
        assert_eq!(desk.customers().await.len(), 0, "a rehearsal writes nothing");

        request.rehearsal = false;
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::select! {
            biased;
            _ = heard.recv() => {}
            _ = exchange::import(app.app.identity(), &desk.db, &request, |at| told.send(at).unwrap()) => panic!(),
        }
        assert_eq!(desk.customers().await.len(), 6);
        let report = desk.run(&request).await.unwrap();
        assert_eq!((report.resumed_after, counts(&report), report.incomplete), (Some(6), [6, 6, 0, 0, 0], 2));
        assert_eq!(desk.refusals(), [
            "4 | parent | parent.name | Nobody | NOT_FOUND",
            "7 | parent | parent.name | Self | INVALID",
        ]);
        let all = desk.customers().await;
        let parent = |name: &str| {
            let own = all.iter().find(|customer| customer.name == name).unwrap();
            all.iter().find(|customer| Some(customer.id) == own.parent_id).map(|parent| parent.name.clone())
        };
        assert_eq!(parent("Leaf").as_deref(), Some("Branch"));
        assert_eq!(parent("Branch").as_deref(), Some("Root"));
        assert_eq!(parent("Other").as_deref(), Some("Root"));
        assert_eq!((parent("Root"), parent("Lost"), parent("Self")), (None, None, None));
    }

    /// Modes, keys, and what an empty value means.
    async fn rows_find_their_records(app: TestApp) {
        let desk = Desk::new(&app).await;
        let base = "[set]\nowner.email = 'admin@acme.example'\n";
        let rows = "Name;External Reference;Industry;Tags;Annual revenue;Currency\n\
                    Éclair;e1;food;\"a,b\";1.50;eur\nÉclair;e2;food;;;\nGâteau;g1;food;;12;\n";
        assert_eq!(counts(&desk.import("customers", rows, base).await), [3, 3, 0, 0, 0]);
        let first = desk.customers().await.into_iter().find(|one| one.external_reference.as_deref() == Some("e1")).unwrap();
        assert_eq!((first.annual_revenue, first.currency.as_deref()), (Some(150), Some("EUR")));
        assert_eq!(first.tags, serde_json::json!(["a", "b"]));

        // By name, whatever the accents; two of one name are nobody.
        let by_name = "key = 'name'\nmode = 'update'\n[map]\nname = 'n'\nindustry = 'i'";
        let report = desk.import("customers", "n,i\nGATEAU,cake\neclair,x\nTorte,y\n", by_name).await;
        assert_eq!(counts(&report), [3, 0, 1, 0, 2]);
        assert_eq!(desk.refusals(), ["3 | n | name | eclair | INVALID", "4 | n | name | Torte | NOT_FOUND"]);
        let create = format!("mode = 'create'\n{base}");
        let report = desk.import("customers", "name,external reference\nNew,e1\nNew,n1\nNewer,n1\n", &create).await;
        assert_eq!(counts(&report), [3, 1, 0, 0, 2]);

        let industry = async || {
            desk.customers().await.into_iter().find(|one| one.name == "GATEAU").unwrap().industry
        };
        desk.import("customers", "external_reference,industry\ng1,\n", base).await;
        assert_eq!(industry().await.as_deref(), Some("cake"));
        desk.import("customers", "external_reference,industry\ng1,\n", &format!("empty = 'clear'\n{base}")).await;
        assert_eq!(industry().await, None);
    }

    /// A dry run finds what the import will find, and leaves nothing behind.
    async fn a_dry_run_writes_nothing(app: TestApp) {
        let (desk, data) = (Desk::new(&app).await, data_set());
        let dry = async |record: &str, content: &str, mapping: &str| {
            let request = Request { rehearsal: true, ..desk.request(record, "dry.csv", content, mapping) };
            desk.run(&request).await.unwrap()
        };
        let users = desk.db.find::<user::Entity>().unwrap().count().await.unwrap();
        let report = dry("users", &data.teams, &example("managers")).await;
        assert!(report.rehearsal);
        assert_eq!(counts(&report), [10, 3, 0, 7, 0]);
        assert_eq!(desk.db.find::<user::Entity>().unwrap().count().await.unwrap(), users);
        // The accounts are not taken either: the address is free afterwards.
        prepare(&desk, &data).await;

        let head = || desk.tenant.admin.data("{ auditLogs { totalCount } }", serde_json::json!({}));
        let before = head().await;
        let lines: Vec<&str> = data.pipeline.lines().take(61).collect();
        let wrong = lines.join("\n").replacen("Agent Borvan", "Nobody", 3);
        let report = dry("opportunities", &wrong, &example("opportunities")).await;
        assert_eq!(counts(&report), [60, 57, 0, 0, 3]);
        assert_eq!(desk.refusals(), [2, 12, 22].map(|line| {
            format!("{line} | sales_agent | owner.name | Nobody | NOT_FOUND")
        }));
        assert_eq!(desk.db.find::<opportunity::Entity>().unwrap().count().await.unwrap(), 0);
        assert_eq!(head().await, before);
        let report = desk.import("opportunities", &wrong, &example("opportunities")).await;
        assert_eq!((report.resumed_after, counts(&report)), (None, [60, 57, 0, 0, 3]));
    }

    /// Files as programs and accidents leave them go in, or are refused with a sentence that says what to do.
    async fn files_of_any_make(app: TestApp) {
        let desk = Desk::new(&app).await;
        let mapping = "key = 'name'\n[set]\nowner.email = 'admin@acme.example'";
        let names = async || desk.customers().await.into_iter().map(|customer| customer.name).collect::<Vec<_>>();

        let spreadsheet = "\u{feff}name;website;employee_count\r\n\r\n\"Gâteau; et fils\";;5\r\n\
                           \"Two \"\"quoted\"\" lines\";;x\r\n\r\nShort;1\r\nÄhre;;7";
        let report = desk.import("customers", spreadsheet, mapping).await;
        assert_eq!(counts(&report), [4, 2, 0, 0, 2]);
        assert_eq!(desk.refusals(), ["4 | employee_count | employee_count | x | INVALID", "6 |  |  |  | INVALID"]);
        assert_eq!(names().await, ["Gâteau; et fils", "Ähre"]);

        // A text over several lines, in lines that end in different ways.
        let products = "sku,name,description\nA,a,\"one\ntwo\"\r\nB,b,\"x\r\ny\"\n\n\nC,c,z,too much\rD,d,\n";
        let report = desk.import("products", products, "key = 'sku'").await;
        assert_eq!(counts(&report), [4, 3, 0, 0, 1]);
        assert_eq!(desk.refusals(), ["8 |  |  |  | INVALID"]);
        let products = desk.db.find::<product::Entity>().unwrap().all().await.unwrap();
        let first = products.into_iter().find(|product| product.sku == "A").unwrap();
        assert_eq!(first.description.as_deref(), Some("one\ntwo"));

        // A missing quotation mark takes rows with it until the next one; the row that has them says so.
        let open = "name,address_street\nE,x\nF,\"y\nG,\"z\"\nH,w\n";
        assert_eq!(counts(&desk.import("customers", open, mapping).await), [3, 2, 0, 0, 1]);
        let told = fs::read_to_string(desk.folder.path().join("errors.csv")).unwrap();
        assert!(told.contains("\n3,") && told.contains("is a quotation mark missing?"), "{told}");

        let before = names().await;
        let refused = async |content: &[u8]| match desk.run(&desk.request("customers", "bad.csv", content, mapping)).await {
            Ok(report) => format!("{report:?}"),
            Err(error) => format!("{}: {error} {error:?}", error.code()),
        };
        for (content, reason) in [
            (&b""[..], "the file is empty"),
            (b"\n\r\n\n", "the file is empty"),
            (b"\xef\xbb\xbf", "the file is empty"),
            (b",,\nA,B,C\n", "the file is empty"),
            ("name\nJos\u{e9}\n".as_bytes().split_at(9).0, "line 2 is not UTF-8: it ends within a character"),
            (b"name\nA\nJos\xe9,x\n", "line 3 is not UTF-8: it seems to be Windows-1252 or Latin-1"),
            (b"\xff\xfen\0a\0m\0e\0", "encoded in UTF-16"),
            (b"\x02\x01\0\n\xb7\n", "line 2 is not UTF-8: it seems to be no text"),
            (b"PK\x03\x04\x14\0\xff", "the file is a spreadsheet such as .xlsx"),
            (b"\x1f\x8b\x08", "the file is compressed with gzip"),
            (b"\x01\0\x02,\x03\n\0,\0\n", "the key must be a text field that is mapped; name is not"),
            (b"name\nA\n\"B\nC\n", "the row that begins on line 3 does not end: is a quotation mark missing?"),
            (b"account,website\nA,\n", "the key must be a text field that is mapped; name is not"),
            (b"name,website,name\nA,,B\n", "the file has several columns"),
        ] {
            let told = refused(content).await;
            assert!(told.contains(reason), "{reason}\n{told}");
            assert!(told.starts_with("BAD_USER_INPUT"), "{told}");
        }
        assert_eq!(names().await, before);
        assert!(!desk.folder.path().join("errors.csv").exists() || !desk.refusals().is_empty());
    }

    /// Other records go through the same mechanism.
    async fn other_records_go_in(app: TestApp) {
        let desk = Desk::new(&app).await;
        let owner = "[set]\nowner.email = 'admin@acme.example'\n";
        desk.import("customers", "name,external_reference\nAcme,c1\n", owner).await;
        let rows = "first_name,last_name,email,customer,external_reference,is_primary\n\
                    Ada,Byron,ada@x.example,c1,p1,no\nBob,Stone,bob@x.example,c1,p2,yes\nEve,Wrong,no address,c1,p3,\n";
        let mapping = format!("[map]\ncustomer.externalReference = 'customer'\n{owner}");
        assert_eq!(counts(&desk.import("contacts", rows, &mapping).await), [3, 2, 0, 0, 1]);
        assert_eq!(desk.refusals(), ["4 | email | email | no address | INVALID"]);
        let contacts = desk.db.find::<contact::Entity>().unwrap().all().await.unwrap();
        let primary: Vec<_> = contacts.iter().filter(|contact| contact.is_primary).map(|one| &one.last_name).collect();
        assert_eq!(primary, ["Stone"], "the rules of the record hold");

        let rows = "type,subject,about,external_reference,due\ncall,Say hello,ada@x.example,a1,10/20/2026\n\
                    shout,Shout,ada@x.example,a2,\n";
        let mapping = format!("[map]\nrelated_to.contact.email = 'about'\ndue_at = 'due | date %m/%d/%Y'\n{owner}");
        assert_eq!(counts(&desk.import("activities", rows, &mapping).await), [2, 1, 0, 0, 1]);
        assert_eq!(desk.refusals(), ["3 | type | type | shout | INVALID"]);
        let mapping = format!("[map]\ncustomer.name = 'who'\n{owner}");
        let rows = "title,who,external_reference,priority\nBroken,acme,t1,high\n";
        assert_eq!(counts(&desk.import("tickets", rows, &mapping).await), [1, 1, 0, 0, 0]);
        assert_eq!(desk.db.find::<product::Entity>().unwrap().count().await.unwrap(), 0);
    }

    /// Who imports needs the permission to, and acts as himself.
    async fn importing_takes_a_permission(app: TestApp) {
        let desk = Desk::new(&app).await;
        let actor = async |session: &Session| {
            let principal = app.app.identity().authenticate(session.token.as_deref().unwrap()).await.unwrap();
            desk.db.tenant().for_actor(principal.member().unwrap().actor.clone(), None)
        };
        let request = desk.request("customers", "rows.csv", "name,external_reference\nA,1\n", "");
        let agent = actor(&desk.tenant.agent).await;
        let refused = exchange::import(app.app.identity(), &agent, &request, |_| {}).await;
        assert!(matches!(refused, Err(Error::Forbidden { permission }) if permission == "customers.import"));
        let manager = actor(&desk.tenant.manager).await;
        let report = exchange::import(app.app.identity(), &manager, &request, |_| {}).await.unwrap();
        assert_eq!(counts(&report), [1, 1, 0, 0, 0]);
        assert_eq!(desk.customers().await[0].owner_id, manager.actor().user_id);
        let request = desk.request("users", "rows.csv", "name,email\nA,a@b.example\n", "key = 'email'");
        let refused = exchange::import(app.app.identity(), &manager, &request, |_| {}).await;
        assert!(matches!(refused, Err(Error::Forbidden { permission }) if permission == "users.import"));
    }

    /// Two processes that run the same import do not write anything twice.
    async fn the_same_import_twice_at_once_is_one(app: TestApp) {
        let desk = Desk::new(&app).await;
        let rows: String = (0..2_000).fold("name,external_reference\n".to_owned(), |rows, row| rows + &format!("C{row},{row}\n"));
        let request = desk.request("customers", "rows.csv", rows, "[set]\nowner.email = 'admin@acme.example'");
        let other = Request { errors: desk.folder.path().join("other.csv"), ..request.clone() };
        let (one, two) = tokio::join!(desk.run(&request), desk.run(&other));
        for result in [one, two] {
            assert!(matches!(&result, Ok(_) | Err(Error::Conflict(_))), "{result:?}");
        }
        let report = desk.run(&request).await.unwrap();
        assert_eq!(report.refused, 0);
        let all = desk.customers().await;
        assert_eq!(all.len(), 2_000);
        assert!(all.iter().all(|customer| customer.version == 1));
    }
}

/// Everything that is wrong with a mapping is said at once, at the field's name, before a row is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mappings_are_checked_before_a_row_is_read() {
    let app = TestApp::start(Engine::Sqlite).await;
    let desk = Desk::new(&app).await;
    let told = async |record: &str, mapping: &str| {
        let request = desk.request(record, "rows.csv", "account,Revenue\nA,1\n", mapping);
        match desk.run(&request).await {
            Err(Error::User(errors)) => errors
                .into_iter()
                .map(|error| format!("{}: {}", error.field.unwrap_or_default().join("."), error.message))
                .collect(),
            other => vec![format!("{other:?}")],
        }
    };
    let all = told(
        "customers",
        "key = 'website'\nwaive = ['gravity']\n[map]\nname = 'acount'\nindusty = 'account'\nowner = 'account'\n\
         annual_revenue = 'revenue | times many'\ncreated_at = 'account'\nannualRevenue = 'revenue'\n\
         parent.customer.name = 'account'\n[set]\nphone = '{account'",
    )
    .await;
    for part in [
        "mapping.name: the file has no column \"acount\"; it has \"account\", \"Revenue\"",
        "mapping.industy: customers have no field \"industy\"; did you mean industry?",
        "mapping.owner: say by what it is found: owner.external_reference, owner.name, owner.email",
        "mapping.annual_revenue: \"times\" takes a number",
        "mapping.created_at: createdAt is filled by the platform",
        "mapping.parent.customer.name: customers have no field",
        "mapping.phone: \"{\" has no \"}\"",
        "mapping.website: the key must be a text field that is mapped; website is not",
        "mapping.waive: customers have no rule \"gravity\" to waive; there is none",
    ] {
        assert!(all.iter().any(|message| message.starts_with(part)), "{part}\n{all:#?}");
    }
    let one = |found: Vec<String>| {
        assert_eq!(found.len(), 1, "{found:#?}");
        found.into_iter().next().unwrap()
    };
    assert!(one(told("customers", "key = 'name'\n[map]\nname = 'account'").await).contains("say who does"));
    assert!(one(told("customers", "[map]\nname = 'account'\n[set]\nowner.email = 'x'").await).contains("need a key"));
    assert!(one(told("customers", "record = 'users'").await).contains("the mapping is for users"));
    for (path, ways) in [
        ("owner.shoe_size", "owner.external_reference, owner.name, owner.email"),
        ("parent.created_at", "parent.external_reference, parent.name"),
    ] {
        let mapping = format!("key = 'name'\n[map]\nname = 'account'\n{path} = 'account'\n[set]\nowner.email = 'x'");
        let (_, by) = path.split_once('.').unwrap();
        let message = told("customers", &mapping).await.into_iter().next().unwrap();
        assert!(message.starts_with(&format!("mapping.{path}: ")), "{message}");
        assert!(
            message.contains(&format!("are not found by {by}; say by a text field of theirs, such as {ways}")),
            "{message}"
        );
    }
    assert!(one(told("wishes", "").await).contains("\\\"wishes\\\" cannot be imported; there is users, customers"));
    let no_currency = Request {
        currency: None,
        ..desk.request(
            "customers",
            "rows.csv",
            "account,Revenue\nA,1\n",
            "key = 'name'\n[map]\nname = 'account'\nannual_revenue = 'Revenue'\n[set]\nowner.email = 'x'",
        )
    };
    let error = format!("{:?}", desk.run(&no_currency).await);
    assert!(error.contains("amounts need a currency"), "{error}");
}

/// Hostile files end in a report or in an error that says what is wrong, whatever their bytes.
#[test]
fn hostile_files_never_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::start(Engine::Sqlite));
    let desk = runtime.block_on(Desk::new(&app));
    let mapping = "key = 'name'\n[map]\nparent.name = 'parent'\n[set]\nowner.email = 'admin@acme.example'";
    let cell = prop_oneof![
        3 => "[a-cé]{0,3}",
        1 => "\\PC{0,12}",
        1 => prop::sample::select(vec!["\"", "\"\"", "\0", "\r", "\n", "\u{feff}", "=cmd()", "9".repeat(40).leak() as &str, "-1", "' OR 1=1 --", "\u{202e}"]).prop_map(str::to_owned),
    ];
    let text = prop::collection::vec(prop::collection::vec(cell, 1..6), 0..6).prop_map(|rows| {
        let rows = rows.into_iter().map(|row| row.join(",") + "\n");
        std::iter::once("name,parent,employee_count,tags,website\n".to_owned())
            .chain(rows)
            .collect::<String>()
            .into_bytes()
    });
    let bytes = prop_oneof![
        4 => text,
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| [b"name,parent\n".to_vec(), bytes].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ];
    let mut runner =
        TestRunner::new(proptest::test_runner::Config { cases: 150, failure_persistence: None, ..Default::default() });
    let outcome = runner.run(&(bytes, any::<bool>()), |(bytes, rehearsal)| {
        let request = Request { rehearsal, ..desk.request("customers", "rows.csv", bytes, mapping) };
        let result = runtime.block_on(desk.run(&request));
        match result {
            Ok(report) => {
                prop_assert_eq!(report.rows, report.created + report.updated + report.unchanged + report.refused);
                prop_assert!(!desk.refusals().iter().any(|row| row.contains("INTERNAL")), "{:?}", desk.refusals());
            }
            Err(error) => prop_assert!(matches!(error, Error::User(_) | Error::BadInput(_)), "{error:?}"),
        }
        Ok(())
    });
    outcome.unwrap();
    drop(desk);
    runtime.block_on(async { drop(app) });
}
