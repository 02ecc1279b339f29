using System.CommandLine;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Models;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff score</c>: how likely a model finds exactly the given tokens.</summary>
internal static class ScoreCommand
{
    private static readonly Option<string> Tokens = new("--tokens")
    {
        Description = "JSON file with the token ids: an array, or an object with \"input_ids\" or \"ids\".",
        HelpName = "FILE",
        Required = true,
    };

    private static readonly Option<string?> LogitsFile = new("--logits")
    {
        Description = "Also write the logits, float32 [tokens, vocabulary] under the name 'logits', to this safetensors file.",
        HelpName = "FILE",
    };

    private static readonly Option<int> PositionOffset = CommonOptions.Whole("--position-offset", "Position of the first token.", 0, 1 << 28, 0);

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("score", "Print the negative log-likelihood, in nats, of each of the given tokens; nothing is added to them.")
        {
            CommonOptions.Model,
            Tokens,
            CommonOptions.Rope,
            LogitsFile,
            PositionOffset,
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Attention,
            CommonOptions.Threads,
            CommonOptions.Json,
        }
        .Runs(Score);

    private static void Score(ParseResult parsed, CancellationToken stop)
    {
        using var session = parsed.OpenModel(stop);
        var file = parsed.GetValue(Tokens)!;
        var ids = Checked(TokenIds.Read(file), file, session.Folder.Config);
        var model = session.Under(session.Folder.Config.SetupFor(PositionMethods.Parse(parsed.GetValue(CommonOptions.Rope)!), ids.Length));
        var nll = Likelihoods(model, ids, parsed.GetValue(PositionOffset), parsed.GetValue(LogitsFile));
        var mean = nll.Average(value => (double)value);
        parsed.Print(new { Nll = nll, MeanNll = mean, Ppl = Math.Exp(mean), Run = new ModelRun(session, model) }, _ =>
        [
            ("tokens", $"{ids.Length}, {nll.Length} scored"),
            ("positions", $"{model.Spec} (tables {model.Proof.Hash})"),
            ("mean nll", $"{mean:0.0000} nats"),
            ("perplexity", $"{Math.Exp(mean):0.000}"),
        ]);
    }

    private static int[] Checked(int[] ids, string file, LlamaConfig config)
    {
        if (ids.Length < 2)
        {
            throw new UserException($"{file}: has {ids.Length} token{(ids.Length == 1 ? "" : "s")}; scoring needs at least 2, since each is scored after those before it");
        }

        var unknown = Array.FindIndex(ids, id => id >= config.VocabSize);
        return unknown < 0
            ? ids
            : throw new UserException($"{file}: token {unknown} is {ids[unknown]}, but the model's vocabulary has ids 0 to {config.VocabSize - 1}");
    }

    private static float[] Likelihoods(PositionedModel positioned, int[] ids, int offset, string? logitsFile)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var model = positioned.Model;
        using var plan = positioned.Plan(TokenPositions.Sequential(ids.Length, offset));
        var tokens = tensor(ids, ScalarType.Int64).to(model.Device);
        var hidden = model.Hidden(tokens.unsqueeze(0), plan)[0]; // [T, C]
        if (logitsFile is not null)
        {
            SafetensorsWriter.Write(logitsFile, [("logits", model.Logits(hidden).to(ScalarType.Float32))]);
        }

        return TokenLikelihood.OfDocument(model, hidden, tokens).cpu().data<float>().ToArray();
    }
}
