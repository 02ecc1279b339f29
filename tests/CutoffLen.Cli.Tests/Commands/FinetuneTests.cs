using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>Whole runs of a model of a few kilobytes.</summary>
public sealed class FinetuneTests : IDisposable
{
    private readonly TinyRun folder = new();

    [Fact]
    public void A_run_leaves_checkpoints_logs_ledger_and_a_model_with_the_position_method()
    {
        var result = Finetune("run", "--steps", "4").Exits(0);
        Assert.Contains("positions linear:factor=2: tables", result.Error);
        Assert.Contains("cutoff eval-ppl --model", result.Error);
        Assert.Equal(["checkpoint-2", "checkpoint-4", "final", "tensorboard"], Directory.EnumerateDirectories(folder["run"]).Select(Path.GetFileName).Order());
        var lines = File.ReadLines(folder["run/log.jsonl"]).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal([1, 2, 3, 4], lines.Select(line => (int)line["step"]!));
        Assert.All(lines, line => Assert.InRange((double)line["loss"]!, 0.1, 100));
        var ledger = JsonNode.Parse(File.ReadAllText(folder["run/ledger.json"]))!;
        Assert.True((long)ledger["trained"]!["beyond_native"]! > 0);
        Assert.Contains("cutoff_len: 96", File.ReadAllText(folder["run/config.yaml"]));

        using var final = HuggingFaceCheckpoint.Open(folder["run/final"]);
        Assert.Equal("linear:factor=2", final.Config.PositionConfig.ToSpec().ToString());
        Assert.Equal((96, 64), (final.Config.MaxPositionEmbeddings, final.Config.NativeLength));
        Assert.True(CheckpointTokenizer.ExistsIn(folder["run/final"]));
        Assert.NotEqual(File.ReadAllBytes(folder["model/model.safetensors"]), File.ReadAllBytes(folder["run/final/model.safetensors"]));

        Assert.Contains("--resume auto", Finetune("run", "--steps", "4").Exits(1).Error);
        var other = Finetune("run", "--steps", "5", "--resume", "auto", "--seed", "7", "--attention", "blocked").Exits(1);
        Assert.Contains("seed was 42 and is 7", other.Error);
        Assert.Contains("attention was sdpa and is blocked", other.Error);
    }

    [Fact]
    public void Stopped_by_SIGTERM_it_saves_says_how_to_go_on_and_ends_in_the_same_bits()
    {
        var stopped = CutoffProcess.RunUntil(
            "TERM",
            () => File.Exists(folder["stopped/log.jsonl"]) && File.ReadLines(folder["stopped/log.jsonl"]).Count() >= 3,
            folder.Arguments("stopped", "--steps", "100000")).Exits(0);
        Assert.Contains("--resume auto", stopped.Error);

        var step = new Runs.RunFolder(folder["stopped"]).Checkpoints()[^1].Step;
        var steps = $"{step + 2}";
        Cutoff.Run("finetune", "--config", folder["stopped/config.yaml"], "--resume", "auto", "--steps", steps).Exits(0);
        Finetune("straight", "--steps", steps).Exits(0);
        foreach (var name in new[] { "model.safetensors", "optimizer.safetensors" })
        {
            Assert.True(File.ReadAllBytes(folder[$"stopped/checkpoint-{steps}/{name}"]).AsSpan().SequenceEqual(
                File.ReadAllBytes(folder[$"straight/checkpoint-{steps}/{name}"])), $"{name} differs");
        }

        Assert.Equal(Losses("straight"), Losses("stopped"));
    }

    [Fact]
    public void Adapters_are_trained_saved_resumed_and_merged_into_a_plain_checkpoint()
    {
        string[] lora = ["--method", "lora", "--set", "lora_r=4", "lora_dropout=0.1", "loraplus_lr_ratio=4", "lora_target_modules=q_proj,embed_tokens,lm_head", "modules_to_save=norm"];
        Finetune("lora", ["--steps", "2", "--attention", "sdpa", .. lora]).Exits(0);
        Finetune("lora", ["--steps", "4", "--resume", "auto", .. lora]).Exits(0);
        Assert.Contains("\"attention\": \"sdpa\"", File.ReadAllText(folder["lora/checkpoint-4/training_state.json"]));
        Finetune("whole", ["--steps", "4", "--attention", "sdpa", .. lora]).Exits(0);
        Assert.Equal(File.ReadAllBytes(folder["whole/final/adapter_model.safetensors"]), File.ReadAllBytes(folder["lora/final/adapter_model.safetensors"]));

        var result = Cutoff.Run("merge", "--model", folder["lora/final"], "--out", folder["merged"], "--json", "--dtype", "fp32", "--threads", "1").Exits(0);
        var json = JsonNode.Parse(result.Output)!;
        Assert.Equal((double)json["nll_before"]!, (double)json["nll_after"]!, 1e-4);
        using var merged = HuggingFaceCheckpoint.Open(folder["merged"]);
        Assert.Equal("linear:factor=2", merged.Config.PositionConfig.ToSpec().ToString());
        Assert.Contains("adapter_config.json", Cutoff.Run("merge", "--model", folder["merged"], "--out", folder["again"]).Exits(1).Error);
    }

    [Fact]
    public void Adapters_open_wherever_a_model_does()
    {
        Finetune("lora", "--steps", "3", "--method", "lora", "--set", "lora_r=4", "loraplus_lr_ratio=16").Exits(0);
        var adapters = folder["lora/final"];
        Cutoff.Run("merge", "--model", adapters, "--out", folder["merged"], "--dtype", "fp32", "--threads", "1").Exits(0);
        folder.Write("ids.json", $"[{string.Join(',', Enumerable.Range(3, 70))}]");
        var merged = Score(folder["merged"]);
        Assert.Equal(merged, Score(adapters));
        Assert.NotEqual(merged, Score(folder["model"]));

        var shown = JsonNode.Parse(Cutoff.Run("inspect", adapters, "--json").Exits(0).Output)!;
        Assert.Equal(4, (int)shown["adapters"]!["r"]!);
        Assert.Equal(folder["model"], (string)shown["checkpoint"]!);
        Assert.Equal("linear:factor=2", (string)shown["positions"]!["method"]!);
        Cutoff.Run("generate", "--model", adapters, "--prompt", "the ", "--max-new-tokens", "2", "--threads", "1").Exits(0);
        Assert.Contains("cutoff merge", Cutoff.Run("finetune", "--model", adapters, "--data", folder["texts"], "--cutoff", "96", "--out", folder["new"]).Exits(1).Error);
        Cutoff.Run(
            "eval-ppl", "--model", adapters, folder["model"], "--data", folder["texts"], "--lengths", "32,64", "--out", folder["ppl"], "--dtype", "fp32", "--threads", "1").Exits(0);
        Assert.Contains("final", File.ReadAllText(folder["ppl/ppl.csv"]));

        Directory.Move(folder["model"], folder["moved"]);
        Assert.Contains("base_model_name_or_path", Cutoff.Run("score", "--model", adapters, "--tokens", folder["ids.json"]).Exits(1).Error);

        string Score(string model) => JsonNode.Parse(Cutoff.Run(
            "score", "--model", model, "--tokens", folder["ids.json"], "--dtype", "fp32", "--threads", "1", "--json").Exits(0).Output)!["nll"]!.ToJsonString();
    }

    [Fact]
    public void A_saved_checkpoint_scores_as_the_trainer_did()
    {
        // One sequence an epoch: the loss of step 3 is that of the weights in checkpoint-2 on this text.
        folder.Write("one/text.txt", "the words that stand here and nowhere else, some of them often: the, of, and, the.");
        Finetune("run", "--data", folder["one"], "--steps", "3").Exits(0);
        var ids = Cutoff.Run("tokenize", "--model", folder["model"], "--file", folder["one/text.txt"], "--json").Exits(0).Output;
        folder.Write("ids.json", JsonNode.Parse(ids)!["ids"]!.ToJsonString());
        var scored = Cutoff.Run(
            "score", "--model", folder["run/checkpoint-2"], "--tokens", folder["ids.json"], "--dtype", "fp32", "--device", "cpu", "--json").Exits(0);
        Assert.Equal(Losses("run")[2], (double)JsonNode.Parse(scored.Output)!["mean_nll"]!, 1e-5);
    }

    [Fact]
    public void A_step_without_target_tokens_is_logged_without_a_loss()
    {
        // A document of one token more than the cutoff: its second sequence is one token, which nothing follows.
        var tokenizer = CheckpointTokenizer.Open(folder["model"]);
        var words = string.Concat(Enumerable.Repeat("the words that stand here ", 40));
        folder.Write("one/text.txt", Enumerable.Range(1, words.Length).Select(length => words[..length]).First(text => tokenizer.Encode(text).Length == 97));
        Finetune("run", "--data", folder["one"], "--steps", "2").Exits(0);
        var losses = File.ReadLines(folder["run/log.jsonl"]).Select(line => JsonNode.Parse(line)!.AsObject()).Select(line => (double?)line["loss"]).ToList();
        Assert.Equal(2, losses.Count);
        Assert.InRange(Assert.Single(losses, loss => loss is not null)!.Value, 0.1, 100);
        Assert.InRange(new Runs.RunFolder(folder["run"]).Logged()!.Value.Loss!.Value, 0.1, 100);
        Assert.Contains("loss none (no target tokens)", File.ReadAllText(folder["run/run.log"]));
        var events = System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(Directory.EnumerateFiles(folder["run/tensorboard"]).Single()));
        Assert.Equal((1, 2), (events.Split("train/loss").Length - 1, events.Split("train/grad_norm").Length - 1));
    }

    [Theory]
    [InlineData("full")]
    [InlineData("lora")]
    public void Measuring_on_the_way_shows_the_limit_moving_and_changes_no_bit_of_the_run(string method)
    {
        folder.Write("held/out.txt", string.Concat(Enumerable.Range(0, 80).Select(n => $"more words, {n} of them. ")));
        string[] common = ["--steps", "4", "--method", method, "--set", "lora_dropout=0.2"];
        Finetune("plain", common).Exits(0);
        var result = Finetune("measured", [.. common, "eval_steps=2", $"eval_data={folder["held"]}"]).Exits(0);
        Assert.Contains("step 0: perplexity ", result.Error);

        var lines = File.ReadLines(folder["measured/log.jsonl"]).Select(line => JsonNode.Parse(line)!).ToList();
        var measured = lines.Where(line => line["eval"] is not null).ToList();
        Assert.Equal([0, 2, 4], measured.Select(line => (int)line["step"]!));
        Assert.All(measured, line => Assert.Equal([64, 96, 192], line["eval"]!["lengths"]!.AsArray().Select(length => (int)length!["length"]!)));
        Assert.Equal(3, measured.Select(line => Nll(line, 96)).Distinct().Count());
        Assert.Equal(Losses("plain"), lines.Except(measured).Select(line => (double)line["loss"]!));
        var files = Directory.EnumerateFiles(folder["plain/checkpoint-4"]).Select(path => Path.GetFileName(path)!)
            .Concat(Directory.EnumerateFiles(folder["plain/final"]).Select(path => $"../final/{Path.GetFileName(path)}")).ToList();
        Assert.Contains(files, name => name.EndsWith("optimizer.safetensors", StringComparison.Ordinal));
        Assert.All(files, name => Assert.True(
            File.ReadAllBytes(folder[$"plain/checkpoint-4/{name}"]).AsSpan().SequenceEqual(File.ReadAllBytes(folder[$"measured/checkpoint-4/{name}"])), $"{name} differs"));
        var events = System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(Directory.EnumerateFiles(folder["measured/tensorboard"]).Single()));
        Assert.Contains("eval/ppl_192", events);

        // What was measured on the way is what the saved model gives.
        Cutoff.Run(
            "eval-ppl", "--model", folder["measured/final"], "--data", folder["held"], "--lengths", "64,96,192", "--protocol", "prefix",
            "--out", folder["ppl"], "--dtype", "fp32", "--threads", "1").Exits(0);
        var lengths = JsonNode.Parse(File.ReadAllText(folder["ppl/ppl.json"]))!["results"]![0]!["perplexity"]![0]!["lengths"]!.AsArray();
        Assert.All(lengths, length => Assert.Equal(Nll(measured[^1], (int)length!["length"]!), (double)length["nll"]!, 1e-4));

        static double Nll(JsonNode line, int length) =>
            (double)line["eval"]!["lengths"]!.AsArray().Single(found => (int)found!["length"]! == length)!["nll"]!;
    }

    [Theory]
    [InlineData("full")]
    [InlineData("lora")]
    public void Verify_resume_compares_every_bit_and_leaves_nothing_behind(string method)
    {
        string[] arguments = [.. folder.Arguments("", "--steps", "2", "--method", method, "--set", "lora_dropout=0.2", "lr_scheduler_type=cosine").Skip(1)];
        var at = Array.IndexOf(arguments, "--out");
        var scratch = Directory.CreateDirectory(folder["scratch"]).FullName;
        var result = CutoffProcess.Run(
            ["verify-resume", .. arguments[..at], .. arguments[(at + 2)..], "--json"], null, new Dictionary<string, string?> { ["TMPDIR"] = scratch }).Exits(0);
        var json = JsonNode.Parse(result.Output)!;
        Assert.True((bool)json["exact"]!);
        Assert.Equal(4, (int)json["steps"]!);
        var compared = json["compared"]!.AsArray().ToDictionary(values => (string)values!["what"]!, values => ((long)values!["values"]!, (long)values["different"]!));
        Assert.Equal(
            ["data of each step", "finished weights", "grad_norm of each step", "learning_rate of each step", "loss of each step", "optimizer's exp_avg", "optimizer's exp_avg_sq", "weights"],
            compared.Keys.Order(StringComparer.Ordinal));
        Assert.All(compared.Values, values => Assert.True(values.Item1 >= 4 && values.Item2 == 0));
        Assert.Empty(Directory.EnumerateDirectories(scratch, "cutoff-verify-*"));
    }

    [Fact]
    public void What_is_missing_or_wrong_is_said_at_once()
    {
        var result = Cutoff.Run("finetune", "--cutoff", "1k").Exits(1);
        Assert.Contains("--model", result.Error);
        Assert.Contains("--data", result.Error);
        Assert.Contains("--out", result.Error);
        folder.Write("other/file.txt", "not ours");
        Assert.Contains("holds no run of ours", Finetune("other").Exits(1).Error);
        Assert.Contains("eval_steps: 5 needs eval_data", Finetune("new", "--set", "eval_steps=5").Exits(1).Error);
        folder.Write("short.txt", "the");
        Assert.Contains("the shortest of eval_lengths is 64", Finetune("new", "--set", "eval_steps=5", $"eval_data={folder["short.txt"]}").Exits(1).Error);
        Assert.False(Directory.Exists(folder["new"]));
        Assert.Contains("goes with recompute: layers", Finetune("new", "--set", "offload_inputs=true").Exits(1).Error);
        Assert.Contains("needs a multiple of 2 ranks, and this run has 1", Finetune("new", "--set", "context_parallel_size=2").Exits(1).Error);
        Assert.Contains("training_state.json", Finetune("new", "--resume", folder["model"]).Exits(1).Error);
    }

    public void Dispose() => folder.Dispose();

    private CutoffResult Finetune(string run, params string[] more) => folder.Finetune(run, more);

    private List<double> Losses(string run) =>
        [.. File.ReadLines(folder[$"{run}/log.jsonl"]).Select(line => (double)JsonNode.Parse(line)!["loss"]!)];
}
