using System.Text.Json.Nodes;

namespace CutoffLen.Cli.Tests.Distributed;

/// <summary>Measurements that several ranks share: the numbers of one.</summary>
public sealed class SharedMeasurementTests : IDisposable
{
    private readonly TinyRun run = new();

    [MpiFact]
    public void Perplexity_and_LongPPL_are_those_of_one_rank_and_either_goes_on_with_the_others_results()
    {
        var one = Cutoff.Run(Perplexity("one")).Exits(0);
        Mpirun.Run(2, Perplexity("two")).Exits(0);
        Assert.Equal(Results("one/ppl.json"), Results("two/ppl.json"));
        Assert.Equal(File.ReadAllText(run["one/ppl.csv"]), File.ReadAllText(run["two/ppl.csv"]));

        // Half of the results of two ranks, the rest by one; and the other way round.
        foreach (var (from, to) in new[] { ("two", "then-one"), ("one", "then-two") })
        {
            var lines = File.ReadAllLines(run[$"{from}/results.jsonl"]);
            run.Write($"{to}/results.jsonl", string.Concat(lines.Take(lines.Length / 2).Select(line => line + "\n")));
        }

        Assert.Contains("from an earlier run", Cutoff.Run(Perplexity("then-one")).Exits(0).Error);
        Mpirun.Run(2, Perplexity("then-two")).Exits(0);
        Assert.Equal(Results("one/ppl.json"), Results("then-one/ppl.json"));
        Assert.Equal(Results("one/ppl.json"), Results("then-two/ppl.json"));
    }

    [MpiFact]
    public void Passkeys_are_found_as_by_one_rank()
    {
        Cutoff.Run(Passkey("one")).Exits(0);
        Mpirun.Run(2, Passkey("two")).Exits(0);
        Assert.Equal(Results("one/passkey.json"), Results("two/passkey.json"));
    }

    [MpiFact]
    public void Summaries_are_those_of_one_rank()
    {
        run.Write("reports.jsonl", string.Concat(Enumerable.Range(0, 3).Select(n => $$"""{"document": "a report on {{n}} kings", "summary": "kings"}""" + "\n")));
        Cutoff.Run(Summaries("one")).Exits(0);
        Mpirun.Run(2, Summaries("two")).Exits(0);
        Assert.Equal(Results("one/summarization.json"), Results("two/summarization.json"));
        Assert.Equal(3, File.ReadAllLines(run["two/results.jsonl"]).Length);
    }

    [MpiFact]
    public void PosGen_is_predicted_as_by_one_rank_and_printed_once()
    {
        string[] task = ["--length", "8", "--test-length", "12", "--test", "40"];
        Cutoff.Run(["posgen", "make", .. task, "--train", "1", "--out", run["posgen"]]).Exits(0);
        Cutoff.Run("init", "--config", run["posgen/model"], "--out", run["posgen/init"]).Exits(0);
        string[] measure = ["posgen", "accuracy", "--model", run["posgen/init"], .. task, "--dtype", "fp32", "--device", "cpu", "--threads", "1", "--json"];
        Assert.Equal(Cutoff.Run(measure).Exits(0).Output, Mpirun.Run(2, [.. measure, "--out", run["posgen/two"]]).Exits(0).Output);
        Assert.Equal(3, File.ReadAllLines(run["posgen/two/results.jsonl"]).Length); // batches
    }

    [MpiFact]
    public void A_sweep_has_the_cells_of_one_rank_and_its_runs_are_the_same_bit_by_bit()
    {
        run.Write("sweep.yaml", $"""
            model: {run["model"]}
            data: [{run["texts"]}]
            eval_data: [{run["texts"]}]
            cache_dir: {run["cache"]}
            ropes: [rope, ntk]
            cutoffs: [96, 128]
            lengths: [32, 128]
            protocol: prefix
            max_steps: 3
            learning_rate: 1.0e-3
            dtype: fp32
            device: cpu
            threads: 1
            """);
        var one = Cells(Cutoff.Run("sweep", "--config", run["sweep.yaml"], "--out", run["one"], "--json"));
        var two = Cells(Mpirun.Run(2, "sweep", "--config", run["sweep.yaml"], "--out", run["two"], "--json"));
        Assert.Equal(one, two);
        foreach (var cell in Directory.EnumerateDirectories(run["one/runs"]).Select(path => Path.GetFileName(path)!))
        {
            Assert.Equal(File.ReadAllBytes(run[$"one/runs/{cell}/final/model.safetensors"]), File.ReadAllBytes(run[$"two/runs/{cell}/final/model.safetensors"]));
            Assert.Contains("finetune 3/3", File.ReadAllText(run[$"two/runs/{cell}/run.log"])); // by whichever rank trained it
        }
    }

    [MpiFact]
    public void Measuring_during_training_is_shared_too()
    {
        string[] options = ["--steps", "2", "--set", "tokens_per_step=192", "eval_steps=2", $"eval_data={run["texts"]}", "eval_lengths=32,64"];
        run.Finetune("one", options).Exits(0);
        Mpirun.Run(2, run.Arguments("two", options)).Exits(0);
        var (first, second) = (Evaluations("one"), Evaluations("two"));
        Assert.Equal(4, first.Count);
        Assert.Equal(first, second, (a, b) => Math.Abs(a - b) < 1e-5);
    }

    public void Dispose() => run.Dispose();

    private string[] Perplexity(string name) =>
    [
        "eval-ppl", "--model", run["model"], "--data", run["texts"], "--lengths", "32,64,128", "--rope", "rope", "dynamic-ntk", "--longppl", "48", "--batch-tokens", "256",
        "--cache-dir", run["cache"], "--out", run[name], "--dtype", "fp32", "--device", "cpu", "--threads", "1",
    ];

    private string[] Passkey(string name) =>
    [
        "passkey", "--model", run["model"], "--lengths", "400,500", "--depths", "3", "--trials", "2", "--alternatives", "3",
        "--out", run[name], "--dtype", "fp32", "--device", "cpu", "--threads", "1",
    ];

    private string[] Summaries(string name) =>
    [
        "summarize", "eval", "--model", run["model"], "--data", run["reports.jsonl"], "--max-new-tokens", "8", "--out", run[name], "--dtype", "fp32", "--device", "cpu", "--threads", "1",
    ];

    private string Results(string file) => JsonNode.Parse(File.ReadAllText(run[file]))!["results"]!.ToJsonString();

    private static string Cells(CutoffResult result)
    {
        var cells = JsonNode.Parse(result.Exits(0).Output)!["cells"]!;
        foreach (var cell in cells.AsArray())
        {
            (cell!["training"] as JsonObject)?.Remove("seconds");
        }

        return cells.ToJsonString();
    }

    private List<double> Evaluations(string name) =>
    [
        .. new Runs.RunFolder(run[name]).Lines().Where(line => line.ContainsKey("eval"))
            .SelectMany(line => line["eval"]!["lengths"]!.AsArray().Select(length => length!["nll"]!.GetValue<double>())),
    ];
}
