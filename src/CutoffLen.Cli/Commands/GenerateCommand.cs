using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff generate</c>: continues a text.</summary>
internal static class GenerateCommand
{
    private static readonly Option<string?> Prompt = new("--prompt", "-p") { Description = "The text to continue.", HelpName = "TEXT" };
    private static readonly Option<string?> PromptFile = new("--file") { Description = "A file with the text to continue, - for standard input.", HelpName = "FILE" };
    private static readonly Option<int> MaxNewTokens = CommonOptions.Whole("--max-new-tokens", "Most tokens to add.", 1, 1 << 24, 256);
    private static readonly Option<double> Temperature = TemperatureOf(0);
    private static readonly Option<double> TopP = TopPOf(1);

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("generate", "Continue a text; it is written as it comes.")
        {
            CommonOptions.Model,
            Prompt,
            PromptFile,
            MaxNewTokens,
            Temperature,
            TopP,
            CommonOptions.Seed,
            CommonOptions.Rope,
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Threads,
            CommonOptions.Json,
        }
        .Runs(Generate);

    /// <summary>The option of the sampling temperature.</summary>
    public static Option<double> TemperatureOf(double standard) => CommonOptions.Number(
        "--temperature", "0 takes the likeliest token each time; else what logits are divided by.", "T", 0, 100, standard);

    /// <summary>The option of nucleus sampling.</summary>
    public static Option<double> TopPOf(double standard) => CommonOptions.Parsed(
        "--top-p", "Draw from the likeliest tokens that together reach this probability.", "P", standard, text =>
            double.TryParse(text, out var number) && number is > 0 and <= 1 ? number : throw new UserException($"'{text}' is not a number above 0 and up to 1"));

    private static void Generate(ParseResult parsed, CancellationToken interrupted)
    {
        var text = TextOf(parsed);
        using var session = parsed.OpenModel(interrupted);
        var tokenizer = session.Folder.Tokenizer;
        var prompt = tokenizer.Encode(text);
        if (prompt.Length == 0)
        {
            throw new UserException("the prompt has no tokens, and this tokenizer adds none; give --prompt a text");
        }

        var most = parsed.GetValue(MaxNewTokens);
        var model = session.Under(session.Folder.Config.SetupFor(PositionMethods.Parse(parsed.GetValue(CommonOptions.Rope)!), prompt.Length + most));
        var sampler = new TokenSampler(model.Model, model.Layers, new Sampling(
            parsed.GetValue(Temperature), parsed.GetValue(TopP), parsed.GetValue(CommonOptions.Seed)));
        var json = parsed.GetValue(CommonOptions.Json);
        var terminal = parsed.Terminal();
        var stream = tokenizer.DecodeStream(after: prompt);
        var (ids, continuation) = (new List<int>(), new System.Text.StringBuilder());
        Emit(text);
        foreach (var id in sampler.Continue(prompt, most, session.Folder.Checkpoint.EosTokenIds))
        {
            ids.Add(id);
            Emit(stream.Push(id), continuation);
            interrupted.ThrowIfCancellationRequested();
        }

        Emit(stream.Flush(), continuation);
        if (json)
        {
            terminal.PrintJson(new { Prompt = text, Text = continuation.ToString(), PromptIds = prompt, Ids = ids, Run = new ModelRun(session, model) });
            return;
        }

        terminal.Output.WriteLine();

        void Emit(string piece, System.Text.StringBuilder? to = null)
        {
            to?.Append(piece);
            if (!json)
            {
                terminal.Output.Write(piece);
                terminal.Output.Flush();
            }
        }
    }

    private static string TextOf(ParseResult parsed) => (parsed.GetValue(Prompt), parsed.GetValue(PromptFile)) switch
    {
        (not null, not null) => throw new UserException("--prompt and --file exclude each other; give one"),
        ({ } text, null) => text,
        (null, "-") => Console.In.ReadToEnd(),
        (null, { } file) => Utf8Text.Read(file),
        _ => "",
    };
}
