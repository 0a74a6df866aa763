PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO meta VALUES('schema','4');
CREATE TABLE runs (
	id VARCHAR NOT NULL, 
	active_key VARCHAR, 
	job_name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	owner VARCHAR NOT NULL, 
	team VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	job_yaml TEXT NOT NULL, 
	workdir VARCHAR NOT NULL, 
	folder VARCHAR NOT NULL, 
	engine VARCHAR NOT NULL, 
	submitted_at DATETIME NOT NULL, 
	storage VARCHAR NOT NULL, 
	hosts INTEGER NOT NULL, 
	deadline_at DATETIME, 
	budget_usd BIGINT, 
	reserved_usd BIGINT NOT NULL, 
	predicted_usd BIGINT, 
	predicted_low_usd BIGINT, 
	predicted_high_usd BIGINT, 
	predicted_hours FLOAT, 
	plan_json TEXT NOT NULL, 
	mounts_json TEXT NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	budget_spent BOOLEAN NOT NULL, 
	wait_until DATETIME, 
	ended_at DATETIME, 
	end_reason TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (active_key)
);
INSERT INTO runs VALUES('greet-4nqk4j',NULL,'greet','training','ana','vision','shelf','completed',replace('name: greet\nowner: ana\nteam: vision\nproject: shelf\nlabels: {ticket: V-1204}\ndeadline: 2h\nbudget: 1 USD\ncheckpoint: {every: 1 epochs}\nwork: {epochs: 1, hours: 0.01}\nrun: |\n  echo "hello from the version before"\n','\n',char(10)),'@WORK@','@HOME@/runs/greet-4nqk4j','local','2026-11-30 17:19:08.544899','',1,'2026-11-30 19:19:08.286016',1000000,0,423267,389473,466068,0.11757408315604843396,'{"job": "greet", "kind": "training", "policy": "auto", "work_hours": 0.01, "work_source": "work.hours of the job file", "work_reference": null, "work_sigma": 0.5, "work_gpu_memory_gib": null, "trial_hours": null, "trial_gpu_memory": null, "deadline": "2026-11-30T19:19:08.286016+00:00", "deadline_hours": 2.0, "budget_usd": "1", "cost_basis": "estimated", "wall_clock_seconds_per_hour": "3600", "checkpoint": "every 1 epochs, as the job file says", "chosen": "local/this-machine/cpu-2/on_demand", "savings_usd": "0.000000", "admitted": true, "refusals": [], "priors": [], "prior_studies": [], "expected_saving": null, "notes": [], "offers": [{"offer": "local/this-machine/cpu-2/on_demand", "cloud": "local", "region": "this-machine", "zone": "", "instance_type": "cpu-2", "accelerators": "", "market": "on_demand", "price_usd_per_hour": "3.6", "source": "this machine; price from the settings", "available": true, "chosen": true, "reason": "local/this-machine/cpu-2 on-demand at $3.60/h: expected $0.42, the cheapest of 1 on demand", "expected_cost_usd": "0.423267", "p10_cost_usd": "0.389473", "p90_cost_usd": "0.466068", "expected_hours": 0.11757408315604843, "p10_hours": 0.10818681758978518, "p90_hours": 0.12946342057528654, "expected_preemptions": 0.0, "chance_to_meet_deadline": 1.0, "checkpoint_interval_hours": 0.01}]}','{}',0,0,NULL,'2026-11-30 17:19:13.013657','all work is done after 1 attempt');
INSERT INTO runs VALUES('digits-old222',NULL,'digits','training','ana','vision','shelf','failed',replace('name: digits\nteam: vision\nproject: shelf\nresources: {accelerators: T4:1}\ncheckpoint: {every: 1 epochs}\nwork: {epochs: 10, hours: 2}\nrun: python train.py\n','\n',char(10)),'@WORK@','@HOME@/runs/digits-old222','local','2026-10-30 12:00:00.000000','',1,'2026-11-01 12:00:00.000000',12340000,0,1000001,900000,1200000,2.5,'{}','{}',0,0,NULL,'2026-10-31 08:00:00.000000','setup failed with exit code 3; trying again would not help');
INSERT INTO runs VALUES('digits-act333','digits again','digits','training','ana','vision','shelf','waiting',replace('name: digits\nteam: vision\nproject: shelf\nresources: {accelerators: T4:1}\ncheckpoint: {every: 1 epochs}\nwork: {epochs: 10, hours: 2}\nrun: python train.py\n','\n',char(10)),'@WORK@','@HOME@/runs/digits-act333','local','2026-10-31 18:00:00.000000','',1,NULL,5000000,5000000,NULL,NULL,NULL,NULL,'{}','{}',1,0,'2026-10-31 19:00:00.000000',NULL,'');
INSERT INTO runs VALUES('search-swp444',NULL,'search','sweep','ana','vision','shelf','completed',replace('name: search\nteam: vision\nrun: python train.py\nsweep:\n  metric: val_accuracy\n  goal: maximize\n  trials: 2\n  space:\n    lr: {type: float, low: 0.001, high: 0.1, log: true}\n','\n',char(10)),'@WORK@','@HOME@/runs/search-swp444','local','2026-10-30 14:00:00.000000','',1,NULL,NULL,0,NULL,NULL,NULL,NULL,'{}','{}',0,0,NULL,'2026-10-30 16:00:00.000000','all work is done after 1 attempt');
INSERT INTO runs VALUES('nightly-ngt555',NULL,'nightly','retraining','ana','vision','shelf','completed',replace('name: nightly\nteam: vision\nrun: python train.py\nretrain:\n  model: shelf-model\n  triggers:\n    calendar: {at: "02:00", timezone: UTC}\n  gate: {metric: val_accuracy, goal: maximize, min_improvement: 0.0}\n','\n',char(10)),'@WORK@','@HOME@/runs/nightly-ngt555','local','2026-10-31 02:00:00.000000','',1,NULL,NULL,0,NULL,NULL,NULL,NULL,'{}','{}',0,0,NULL,'2026-10-31 03:00:00.000000','all work is done after 1 attempt');
CREATE TABLE studies (
	id VARCHAR NOT NULL, 
	job_name VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	record TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO studies VALUES('search-swp444','search','2026-10-30 14:00:00.000000','{"id": "search-swp444", "job_name": "search", "metric": "val_accuracy", "goal": "maximize", "space": {"lr": {"type": "float", "low": 0.001, "high": 0.1, "log": true}}, "created_at": "2026-10-30T14:00:00+00:00", "labels": {"team": "vision"}, "trials": [{"number": 0, "params": {"lr": 0.01}, "state": "completed", "value": 0.9, "epoch": 3, "curve": [[1, 0.5], [3, 0.9]], "source": "sampler", "note": "", "resumes": 0, "restored_epochs": [], "seconds": 0.0, "gpu_memory_gib": null, "cost_usd": "0.526"}, {"number": 1, "params": {"lr": 0.05}, "state": "pruned", "value": 0.4, "epoch": 1, "curve": [[1, 0.4]], "source": "sampler", "note": "", "resumes": 0, "restored_epochs": [], "seconds": 0.0, "gpu_memory_gib": null, "cost_usd": "0.526"}], "task": null, "machines": [], "cost_usd": null, "cost_basis": "", "priors": ["outside"], "origin": ""}');
INSERT INTO studies VALUES('outside','search','2026-10-26 08:00:00.000000','{"id": "outside", "job_name": "search", "metric": "val_accuracy", "goal": "maximize", "space": {"lr": {"type": "float", "low": 0.001, "high": 0.1, "log": true}}, "created_at": "2026-10-26T08:00:00+00:00", "labels": {}, "trials": [{"number": 0, "params": {"lr": 0.02}, "state": "completed", "value": 0.8, "epoch": 3, "curve": [[3, 0.8]], "source": "sampler", "note": "", "resumes": 0, "restored_epochs": [], "seconds": 0.0, "gpu_memory_gib": null, "cost_usd": null}], "task": null, "machines": [], "cost_usd": null, "cost_basis": "", "priors": [], "origin": "a file"}');
CREATE TABLE models (
	model VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	metric VARCHAR NOT NULL, 
	value FLOAT, 
	champion_value FLOAT, 
	promoted BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	judged_at DATETIME NOT NULL, 
	PRIMARY KEY (model, version)
);
INSERT INTO models VALUES('shelf-model','nightly-ngt555','val_accuracy',0.9000000000000000222,NULL,1,'the first version','2026-10-31 03:00:00.000000');
CREATE TABLE occurrences (
	model VARCHAR NOT NULL, 
	occurrence_id VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	begun_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	outcome VARCHAR, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (model, occurrence_id)
);
INSERT INTO occurrences VALUES('shelf-model','2026-10-29','','2026-10-31 01:00:00.000000','2026-10-31 01:00:00.000000','skipped','the machine was off');
INSERT INTO occurrences VALUES('shelf-model','2026-10-31','nightly-ngt555','2026-10-31 02:00:00.000000','2026-10-31 03:00:00.000000','promoted','better');
INSERT INTO occurrences VALUES('shelf-model','2026-11-01','nightly-ngt666','2026-11-01 02:00:00.000000',NULL,NULL,'');
CREATE TABLE leases (
	run_id VARCHAR NOT NULL, 
	owner VARCHAR NOT NULL, 
	fence INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (run_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO leases VALUES('greet-4nqk4j','',1,'2026-11-30 17:19:31.293987');
INSERT INTO leases VALUES('digits-old222','host 1 1.00',1,'2026-11-03 16:00:00.000000');
INSERT INTO leases VALUES('digits-act333','gone 1 1.00',1,'2026-10-31 18:00:36.000000');
INSERT INTO leases VALUES('search-swp444','host 1 1.00',1,'2026-11-03 16:00:00.000000');
INSERT INTO leases VALUES('nightly-ngt555','host 1 1.00',1,'2026-11-03 16:00:00.000000');
CREATE TABLE attempts (
	id VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	cloud VARCHAR NOT NULL, 
	region VARCHAR NOT NULL, 
	zone VARCHAR NOT NULL, 
	instance_type VARCHAR NOT NULL, 
	pool_accelerators VARCHAR NOT NULL, 
	market VARCHAR NOT NULL, 
	price_usd_per_hour VARCHAR NOT NULL, 
	on_demand_usd_per_hour VARCHAR, 
	accelerator VARCHAR, 
	accelerator_count INTEGER NOT NULL, 
	vcpus FLOAT NOT NULL, 
	memory_gib FLOAT NOT NULL, 
	source VARCHAR NOT NULL, 
	nodes INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	launched_at DATETIME NOT NULL, 
	hour_s VARCHAR NOT NULL, 
	cost_basis VARCHAR NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	end_reason TEXT NOT NULL, 
	exit_code INTEGER, 
	host INTEGER NOT NULL, 
	checkpoint_every VARCHAR NOT NULL, 
	migrating BOOLEAN NOT NULL, 
	epochs_kept INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (run_id, number), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO attempts VALUES('greet-4nqk4j-a1','greet-4nqk4j',1,'local','this-machine','','cpu-2','','on_demand','3.6','3.6',NULL,0,2.0,23.499999999999999999,'this machine; price from the settings',1,'completed','local/this-machine/cpu-2 on-demand at $3.60/h: expected $0.42, the cheapest of 1 on demand','2026-11-30 17:19:12.174079','3600','estimated','2026-11-30 17:19:12.193977','2026-11-30 17:19:12.209507','the command ended with exit code 0',0,0,'1 epochs',0,0);
INSERT INTO attempts VALUES('digits-old222-a1','digits-old222',1,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'refused','the cheapest','2026-10-30 13:00:00.000000','3600','estimated',NULL,'2026-10-30 13:00:00.000000','no capacity in aws/us-east-1/a/g4dn.xlarge/spot',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a2','digits-old222',2,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'refused','the cheapest','2026-10-30 14:00:00.000000','3600','estimated',NULL,'2026-10-30 14:00:00.000000','ended by spotwise before it came up',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a3','digits-old222',3,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'refused','the cheapest','2026-10-30 15:00:00.000000','3600','estimated',NULL,'2026-10-30 15:00:00.000000','never launched',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a4','digits-old222',4,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'preempted','the cheapest','2026-10-30 16:00:00.000000','3600','estimated','2026-10-30 16:06:00.000000','2026-10-30 16:30:00.000000','aws/us-east-1/a/g4dn.xlarge/spot took the capacity back; the program left after saving a checkpoint',82,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a5','digits-old222',5,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'migrated','the cheapest','2026-10-30 17:00:00.000000','3600','estimated','2026-10-30 17:06:00.000000','2026-10-30 17:30:00.000000','ended by spotwise to continue elsewhere',82,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a6','digits-old222',6,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'lost','the cheapest','2026-10-30 18:00:00.000000','3600','estimated','2026-10-30 18:06:00.000000','2026-10-30 18:30:00.000000','the machine in aws/us-east-1/a/g4dn.xlarge/spot went away without a word',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a7','digits-old222',7,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'lost','the cheapest','2026-10-30 19:00:00.000000','3600','estimated','2026-10-30 19:06:00.000000','2026-10-30 19:30:00.000000','the program saved and left with exit code 82, but nobody here asked it to',82,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a8','digits-old222',8,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-30 20:00:00.000000','3600','estimated',NULL,'2026-10-30 20:00:00.000000','aws/us-east-1/a/g4dn.xlarge/spot could not be brought up',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a9','digits-old222',9,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-30 21:00:00.000000','3600','estimated',NULL,'2026-10-30 21:00:00.000000','it cannot be launched: no such image',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a10','digits-old222',10,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-30 22:00:00.000000','3600','estimated','2026-10-30 22:06:00.000000','2026-10-30 22:30:00.000000','the program crashed with exit code 1',1,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a11','digits-old222',11,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-30 23:00:00.000000','3600','estimated','2026-10-30 23:06:00.000000','2026-10-30 23:30:00.000000','the program was killed by signal 9 (exit code 137)',137,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a12','digits-old222',12,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-31 00:00:00.000000','3600','estimated','2026-10-31 00:06:00.000000','2026-10-31 00:30:00.000000','a command in `run` was not found (exit code 127)',127,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a13','digits-old222',13,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-31 01:00:00.000000','3600','estimated','2026-10-31 01:06:00.000000','2026-10-31 01:30:00.000000','the program ended and its exit code is not known',NULL,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a14','digits-old222',14,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'cancelled','the cheapest','2026-10-31 02:00:00.000000','3600','estimated','2026-10-31 02:06:00.000000','2026-10-31 02:30:00.000000','ended by spotwise',82,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a15','digits-old222',15,'aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'completed','the cheapest','2026-10-31 03:00:00.000000','3600','estimated','2026-10-31 03:06:00.000000','2026-10-31 03:30:00.000000','the command ended with exit code 0',0,0,'',0,0);
INSERT INTO attempts VALUES('digits-old222-a16','digits-old222',16,'aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',1,'failed','the cheapest','2026-10-31 04:00:00.000000','3600','estimated','2026-10-31 04:06:00.000000','2026-10-31 04:30:00.000000','setup failed with exit code 3',3,0,'',0,0);
INSERT INTO attempts VALUES('search-swp444-a1','search-swp444',1,'aws','us-east-1','b','g4dn.xlarge','','on_demand','0.526','0.526','T4',1,4.0,16.0,'sheet',1,'completed','on demand','2026-10-30 14:00:00.000000','3600','emulated','2026-10-30 14:06:00.000000','2026-10-30 16:00:00.000000','the command ended with exit code 0',0,0,'',0,0);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	attempt_id VARCHAR, 
	at DATETIME NOT NULL, 
	kind VARCHAR NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO events VALUES(1,'greet-4nqk4j','greet-4nqk4j-a1','2026-11-30 17:19:11.570057','placed','local/this-machine/cpu-2 on-demand at $3.60/h: expected $0.42, the cheapest of 1 on demand');
INSERT INTO events VALUES(2,'greet-4nqk4j','greet-4nqk4j-a1','2026-11-30 17:19:12.996621','completed','the command ended with exit code 0; no progress reported; 0.00 USD');
INSERT INTO events VALUES(3,'greet-4nqk4j',NULL,'2026-11-30 17:19:13.041603','ended','completed: all work is done after 1 attempt');
INSERT INTO events VALUES(4,'digits-old222','digits-old222-a1','2026-10-30 13:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(5,'digits-old222','digits-old222-a1','2026-10-30 13:00:00.000000','refused','no capacity in aws/us-east-1/a/g4dn.xlarge/spot');
INSERT INTO events VALUES(6,'digits-old222','digits-old222-a2','2026-10-30 14:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(7,'digits-old222','digits-old222-a2','2026-10-30 14:00:00.000000','refused','ended by spotwise before it came up');
INSERT INTO events VALUES(8,'digits-old222','digits-old222-a3','2026-10-30 15:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(9,'digits-old222','digits-old222-a3','2026-10-30 15:00:00.000000','refused','never launched');
INSERT INTO events VALUES(10,'digits-old222','digits-old222-a4','2026-10-30 16:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(11,'digits-old222','digits-old222-a4','2026-10-30 16:30:00.000000','preempted','aws/us-east-1/a/g4dn.xlarge/spot took the capacity back; the program left after saving a checkpoint');
INSERT INTO events VALUES(12,'digits-old222','digits-old222-a5','2026-10-30 17:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(13,'digits-old222','digits-old222-a5','2026-10-30 17:30:00.000000','migrated','ended by spotwise to continue elsewhere');
INSERT INTO events VALUES(14,'digits-old222','digits-old222-a6','2026-10-30 18:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(15,'digits-old222','digits-old222-a6','2026-10-30 18:30:00.000000','lost','the machine in aws/us-east-1/a/g4dn.xlarge/spot went away without a word');
INSERT INTO events VALUES(16,'digits-old222','digits-old222-a7','2026-10-30 19:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(17,'digits-old222','digits-old222-a7','2026-10-30 19:30:00.000000','lost','the program saved and left with exit code 82, but nobody here asked it to');
INSERT INTO events VALUES(18,'digits-old222','digits-old222-a8','2026-10-30 20:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(19,'digits-old222','digits-old222-a8','2026-10-30 20:00:00.000000','failed','aws/us-east-1/a/g4dn.xlarge/spot could not be brought up');
INSERT INTO events VALUES(20,'digits-old222','digits-old222-a9','2026-10-30 21:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(21,'digits-old222','digits-old222-a9','2026-10-30 21:00:00.000000','failed','it cannot be launched: no such image');
INSERT INTO events VALUES(22,'digits-old222','digits-old222-a10','2026-10-30 22:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(23,'digits-old222','digits-old222-a10','2026-10-30 22:30:00.000000','failed','the program crashed with exit code 1');
INSERT INTO events VALUES(24,'digits-old222','digits-old222-a11','2026-10-30 23:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(25,'digits-old222','digits-old222-a11','2026-10-30 23:30:00.000000','failed','the program was killed by signal 9 (exit code 137)');
INSERT INTO events VALUES(26,'digits-old222','digits-old222-a12','2026-10-31 00:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(27,'digits-old222','digits-old222-a12','2026-10-31 00:30:00.000000','failed','a command in `run` was not found (exit code 127)');
INSERT INTO events VALUES(28,'digits-old222','digits-old222-a13','2026-10-31 01:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(29,'digits-old222','digits-old222-a13','2026-10-31 01:30:00.000000','failed','the program ended and its exit code is not known');
INSERT INTO events VALUES(30,'digits-old222','digits-old222-a14','2026-10-31 02:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(31,'digits-old222','digits-old222-a14','2026-10-31 02:30:00.000000','cancelled','ended by spotwise');
INSERT INTO events VALUES(32,'digits-old222','digits-old222-a15','2026-10-31 03:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(33,'digits-old222','digits-old222-a15','2026-10-31 03:30:00.000000','completed','the command ended with exit code 0');
INSERT INTO events VALUES(34,'digits-old222','digits-old222-a16','2026-10-31 04:00:00.000000','placed','the cheapest');
INSERT INTO events VALUES(35,'digits-old222','digits-old222-a16','2026-10-31 04:30:00.000000','failed','setup failed with exit code 3');
INSERT INTO events VALUES(36,'digits-old222',NULL,'2026-10-31 08:00:00.000000','ended','failed: setup failed with exit code 3; trying again would not help');
CREATE TABLE rests (
	run_id VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	share FLOAT NOT NULL, 
	offer VARCHAR NOT NULL, 
	is_held BOOLEAN NOT NULL, 
	expected_usd BIGINT NOT NULL, 
	low_usd BIGINT NOT NULL, 
	high_usd BIGINT NOT NULL, 
	on_demand_usd BIGINT, 
	chance_to_meet_deadline FLOAT, 
	chance_of VARCHAR, 
	PRIMARY KEY (run_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO rests VALUES('greet-4nqk4j','2026-11-30 17:19:11.354923',1.0,'local/this-machine/cpu-2/on_demand',1,423267,389473,466068,423267,1.0,'held');
INSERT INTO rests VALUES('digits-act333','2026-10-31 18:00:00.000000',0.5,'aws/us-east-1/a/g4dn.xlarge/spot',0,400000,300000,600000,1050000,0.96999999999999997335,'on_demand');
CREATE TABLE charges (
	id VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	attempt_id VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	trial INTEGER, 
	start DATETIME NOT NULL, 
	"end" DATETIME NOT NULL, 
	share VARCHAR NOT NULL, 
	hours VARCHAR NOT NULL, 
	category VARCHAR NOT NULL, 
	cloud VARCHAR NOT NULL, 
	region VARCHAR NOT NULL, 
	zone VARCHAR NOT NULL, 
	instance_type VARCHAR NOT NULL, 
	pool_accelerators VARCHAR NOT NULL, 
	market VARCHAR NOT NULL, 
	price_usd_per_hour VARCHAR NOT NULL, 
	on_demand_usd_per_hour VARCHAR, 
	accelerator VARCHAR, 
	accelerator_count INTEGER NOT NULL, 
	vcpus FLOAT NOT NULL, 
	memory_gib FLOAT NOT NULL, 
	source VARCHAR NOT NULL, 
	amount_usd BIGINT NOT NULL, 
	on_demand_usd BIGINT, 
	cost_basis VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (attempt_id, seq), 
	FOREIGN KEY(run_id) REFERENCES runs (id), 
	FOREIGN KEY(attempt_id) REFERENCES attempts (id)
);
INSERT INTO charges VALUES('greet-4nqk4j-a1-c1','greet-4nqk4j','greet-4nqk4j-a1',1,NULL,'2026-11-30 17:19:12.174079','2026-11-30 17:19:12.193977','1.000000','0.000006','overhead','local','this-machine','','cpu-2','','on_demand','3.6','3.6',NULL,0,2.0,23.499999999999999999,'this machine; price from the settings',20,20,'estimated');
INSERT INTO charges VALUES('greet-4nqk4j-a1-c2','greet-4nqk4j','greet-4nqk4j-a1',2,NULL,'2026-11-30 17:19:12.193977','2026-11-30 17:19:12.209507','1.000000','0.000004','productive','local','this-machine','','cpu-2','','on_demand','3.6','3.6',NULL,0,2.0,23.499999999999999999,'this machine; price from the settings',15,15,'estimated');
INSERT INTO charges VALUES('digits-old222-a4-c1','digits-old222','digits-old222-a4',1,NULL,'2026-10-30 16:00:00.000000','2026-10-30 16:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a5-c1','digits-old222','digits-old222-a5',1,NULL,'2026-10-30 17:00:00.000000','2026-10-30 17:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a6-c1','digits-old222','digits-old222-a6',1,NULL,'2026-10-30 18:00:00.000000','2026-10-30 18:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a7-c1','digits-old222','digits-old222-a7',1,NULL,'2026-10-30 19:00:00.000000','2026-10-30 19:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a10-c1','digits-old222','digits-old222-a10',1,NULL,'2026-10-30 22:00:00.000000','2026-10-30 22:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a11-c1','digits-old222','digits-old222-a11',1,NULL,'2026-10-30 23:00:00.000000','2026-10-30 23:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a12-c1','digits-old222','digits-old222-a12',1,NULL,'2026-10-31 00:00:00.000000','2026-10-31 00:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a13-c1','digits-old222','digits-old222-a13',1,NULL,'2026-10-31 01:00:00.000000','2026-10-31 01:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a14-c1','digits-old222','digits-old222-a14',1,NULL,'2026-10-31 02:00:00.000000','2026-10-31 02:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a15-c1','digits-old222','digits-old222-a15',1,NULL,'2026-10-31 03:00:00.000000','2026-10-31 03:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','b','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('digits-old222-a16-c1','digits-old222','digits-old222-a16',1,NULL,'2026-10-31 04:00:00.000000','2026-10-31 04:30:00.000000','1.000000','0.500000','productive','aws','us-east-1','a','g4dn.xlarge','','spot','0.20','0.526','T4',1,4.0,16.0,'sheet',100000,263000,'estimated');
INSERT INTO charges VALUES('search-swp444-a1-c1','search-swp444','search-swp444-a1',1,0,'2026-10-30 14:00:00.000000','2026-10-30 16:00:00.000000','0.500000','1.000000','productive','aws','us-east-1','b','g4dn.xlarge','','on_demand','0.526','0.526','T4',1,4.0,16.0,'sheet',526000,526000,'emulated');
INSERT INTO charges VALUES('search-swp444-a1-c2','search-swp444','search-swp444-a1',2,1,'2026-10-30 14:00:00.000000','2026-10-30 16:00:00.000000','0.500000','1.000000','pruned','aws','us-east-1','b','g4dn.xlarge','','on_demand','0.526','0.526','T4',1,4.0,16.0,'sheet',526000,526000,'emulated');
CREATE INDEX ix_runs_state ON runs (state);
CREATE INDEX ix_attempts_run_id ON attempts (run_id);
CREATE INDEX ix_events_run_id ON events (run_id);
CREATE INDEX ix_charges_run_id ON charges (run_id);
COMMIT;
